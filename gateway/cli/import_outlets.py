"""`card-gateway import-outlets`: validates the pickup outlets and installs them."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from core.kernel.settings import Settings, SettingsError, variable
from core.reference import (
    BadLine,
    Option,
    Reference,
    Table,
    read_options,
    read_outlets,
    with_districts,
)
from gateway.cli.common import (
    OPERATOR,
    operator_named,
    read_settings,
    record_command,
    require_migrated_database,
)


def import_outlets(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv",
            help="UTF-8: code,name,address,district_code,bank_codes and, if known, phone,"
            "opening_hours,longitude,latitude,instant_issue",
        ),
    ],
    operator: Annotated[str, OPERATOR],
    banks: Annotated[
        Path | None, typer.Option(help="UTF-8: code,name and, if known, english_name")
    ] = None,
    districts: Annotated[
        Path | None, typer.Option(help="UTF-8: code,name of those without a GB/T 2260 code")
    ] = None,
) -> None:
    """Validates the pickup outlets, and copies them to CARD_GATEWAY_OUTLETS_CSV.

    The gateway reads them at the start. Nothing is replaced if a line is bad. The
    operator stands in the audit log.
    """
    name = operator_named(operator)
    found = read_settings()
    count = _import(found, file, banks, districts, name)
    if count is None:
        raise SystemExit(1)
    print(f"{count:,} outlets are in {found.outlets_csv}; the gateway reads them when it starts.")


def _import(
    settings: Settings,
    path: Path,
    banks_path: Path | None,
    districts_path: Path | None,
    operator: str,
) -> int | None:
    """Installs the files and returns the number of outlets; None if a line is bad."""
    target = settings.outlets_csv
    if target is None:
        raise SettingsError(
            f"{variable('outlets_csv')} is not set: set it to the path from which the gateway "
            "is to read the outlets, and run this command again."
        )
    banks = _read_options(banks_path, target.with_name("banks.csv"))
    districts = _read_options(districts_path, target.with_name("districts.csv"))
    if banks is None or districts is None:
        return None
    known_banks = Table(banks) if banks else Reference.load().banks
    outlets, bad = read_outlets(_lines_of(path), with_districts(districts), known_banks)
    if _report(path, bad):
        return None
    if not outlets:
        raise SettingsError(f"{path} has no lines.")
    require_migrated_database(settings)
    asyncio.run(record_command(settings, "import-outlets", operator))
    for given, name in ((banks_path, "banks.csv"), (districts_path, "districts.csv")):
        if given is not None:
            _put(given, target.with_name(name))
    _put(path, target)
    return len(outlets)


def _read_options(given: Path | None, installed: Path) -> list[Option] | None:
    """Of the given file, else of the installed one, if there is one; None if a line is bad."""
    if given is None:
        return read_options(_lines_of(installed))[0] if installed.is_file() else []
    options, bad = read_options(_lines_of(given))
    if _report(given, bad):
        return None
    if not options:
        raise SettingsError(f"{given} has no lines.")
    return options


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines(keepends=True)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8.") from None


def _report(path: Path, bad: Sequence[BadLine]) -> bool:
    for problem in bad:
        print(f"{path}, line {problem.line}: {problem.reason}", file=sys.stderr)
    return bool(bad)


def _put(source: Path, target: Path) -> None:
    """Replaces the target atomically."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            file.write(source.read_bytes())
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).chmod(0o644)
        Path(file.name).replace(target)
    except OSError as error:
        raise SettingsError(f"{target} cannot be written: {error.strerror}.") from None
