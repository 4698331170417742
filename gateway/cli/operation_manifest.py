"""`card-gateway operation-manifest`: a manifest of a front-end's trusted documents."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from core.kernel.settings import SettingsError


def operation_manifest(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.graphql…", help="UTF-8.")],
) -> None:
    """Prints a manifest of the documents in these files: SHA-256 and text.

    Fails if a document is invalid. CARD_GATEWAY_OPERATION_MANIFEST is the path of the manifest.
    """
    print(manifest_of(files))


def manifest_of(files: Sequence[Path]) -> str:
    """JSON of identifier and document, one per file. Raises `SettingsError` for an invalid one."""
    from gateway.http.admission import PreparedDocuments, sha256
    from gateway.schema import build_schema
    from gateway.schema.masking import sanitize_validation_error

    schema = build_schema()._schema  # noqa: SLF001
    prepared = PreparedDocuments(sanitize=sanitize_validation_error)
    found: dict[str, str] = {}
    for file in files:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} cannot be read: {error}.") from None
        errors = prepared.prepare(schema, text).errors
        if errors:
            raise SettingsError(f"{file}: {errors[0].message}")
        found[f"sha256:{sha256(text)}"] = text
    return json.dumps(found, ensure_ascii=False, indent=1)
