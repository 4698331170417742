"""`card-gateway import-outlets`: validates the pickup outlets and installs them."""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from core.kernel.settings import Settings, SettingsError, variable
from core.reference import BadLine, Reference, Table, read_banks, read_outlets, read_table
from gateway.cli.common import read_settings


def import_outlets(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv", help="UTF-8: code,name,address,district_code,bank_codes"
        ),
    ],
    banks: Annotated[Path | None, typer.Option(help="UTF-8: code,name")] = None,
) -> None:
    """Validates the pickup outlets, and copies them to CARD_GATEWAY_OUTLETS_CSV.

    The gateway reads them at the start. Nothing is replaced if a line is bad.
    """
    found = read_settings()
    count = _import(found, file, banks)
    if count is None:
        raise SystemExit(1)
    print(f"{count:,} outlets are in {found.outlets_csv}; the gateway reads them when it starts.")


def _import(settings: Settings, path: Path, banks_path: Path | None) -> int | None:
    """Installs the files and returns the number of outlets; None if a line is bad."""
    target = settings.outlets_csv
    if target is None:
        raise SettingsError(
            f"{variable('outlets_csv')} is not set: set it to the path from which the gateway "
            "is to read the outlets, and run this command again."
        )
    banks = _read_banks(banks_path, target)
    if banks is None:
        return None
    outlets, bad = read_outlets(_lines_of(path), read_table("districts"), banks)
    if _report(path, bad):
        return None
    if not outlets:
        raise SettingsError(f"{path} has no lines.")
    if banks_path is not None:
        _put(banks_path, target.with_name("banks.csv"))
    _put(path, target)
    return len(outlets)


def _read_banks(given: Path | None, target: Path) -> Table | None:
    if given is None:
        installed = target.with_name("banks.csv")
        return (
            Table(read_banks(_lines_of(installed))[0])
            if installed.is_file()
            else Reference.load().banks
        )
    banks, bad = read_banks(_lines_of(given))
    if _report(given, bad):
        return None
    if not banks:
        raise SettingsError(f"{given} has no lines.")
    return Table(banks)


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
