"""Makes the operation manifest from the documents that a front-end is built with."""

import json
from collections.abc import Sequence
from pathlib import Path

from core.settings import SettingsError
from gateway.http.documents import sha256
from gateway.http.limits import PreparedDocuments
from gateway.schema import build_schema
from gateway.schema.masking import told


def manifest_of(files: Sequence[Path]) -> str:
    """JSON of identifier and document, a document a file. Raises for one that may not run."""
    schema = build_schema()._schema  # noqa: SLF001
    prepared = PreparedDocuments(told=told)
    found: dict[str, str] = {}
    for file in files:
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} cannot be read: {error}.") from None
        errors = prepared.prepare(schema, text)[0].errors
        if errors:
            raise SettingsError(f"{file}: {errors[0].message}")
        found[f"sha256:{sha256(text)}"] = text
    return json.dumps(found, ensure_ascii=False, indent=1)
