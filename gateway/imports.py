"""What the commands `import-cards` and `import-outlets` show, and write beside the database."""

import csv
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from core import imports
from core.clock import china_date
from core.database import connect
from core.encryption import Vault
from core.imports import BadLine, CsvFile, Importer, Journal, LineReader, Position
from core.reference import BadLine as BadReferenceLine
from core.reference import Reference, Table, read_banks, read_outlets
from core.reference.tables import read_table
from core.seals import Seals
from core.settings import Settings, SettingsError, key_ring, variable
from gateway.resolvers.context import system_clock

# --- cards ---------------------------------------------------------------------------------


async def import_cards(
    settings: Settings, path: Path, errors: Path | None, journal_path: Path, batch: int
) -> Position:
    vault = Vault(
        settings.cipher_suite,
        key_ring(settings.column_keys, "column_keys"),
        key_ring(settings.index_keys, "index_keys"),
    )
    seals = Seals(
        key_ring(settings.peppers, "peppers"), key_ring(settings.audit_keys, "audit_keys")
    )
    reader = LineReader(
        Reference.load(settings.outlets_csv),
        china_date(system_clock()),
        card_check_character=settings.card_check_character,
    )
    file = CsvFile.open(path)
    with (
        _bad_lines(errors) as bad_lines,
        closing(Journal.open(journal_path)) as journal,
        _bar(file.size) as show,
    ):
        database = await connect(settings.database_url)
        try:
            importer = Importer(database, vault, seals, system_clock, reader)
            async for position in imports.import_cards(
                importer, file, journal, bad_lines, into=settings.database_url, batch=batch
            ):
                show(position)
        finally:
            await database.close()
    return position


class _ErrorFile:
    """Bad lines as CSV. Where an import goes on, what its last batch did not finish is cut off."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._rows = csv.writer(file, lineterminator="\n")

    def tell(self, bad: BadLine) -> None:
        self._rows.writerow((bad.line, bad.column, bad.reason))

    def end(self) -> int:
        self._file.flush()
        return self._file.tell()

    def go_back(self, end: int) -> None:
        self._file.seek(end)
        self._file.truncate()
        if end == 0:
            self._rows.writerow(("line", "column", "reason"))


class _ErrorStream:
    """Bad lines on the terminal, above the progress bar."""

    def tell(self, bad: BadLine) -> None:
        column = f"{bad.column}: " if bad.column else ""
        print(f"line {bad.line}: {column}{bad.reason}", file=sys.stderr)

    def end(self) -> int:
        return 0

    def go_back(self, end: int) -> None:
        """What was shown stays shown."""


@contextmanager
def _bad_lines(errors: Path | None) -> Iterator[imports.BadLines]:
    if errors is None:
        yield _ErrorStream()
        return
    try:
        file = errors.open("r+" if errors.exists() else "x", encoding="utf-8", newline="")
    except OSError as error:
        raise SettingsError(f"{errors} cannot be written: {error.strerror}.") from None
    with file:
        yield _ErrorFile(file)


@contextmanager
def _bar(size: int) -> Iterator[Callable[[Position], None]]:
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% · line {task.fields[line]:,}"),
        TextColumn("{task.fields[added]:,} added, {task.fields[already]:,} already there"),
        TextColumn("{task.fields[bad]:,} bad"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=size, line=1, added=0, already=0, bad=0)

        def show(position: Position) -> None:
            progress.update(
                task,
                completed=position.offset,
                line=position.line - 1,
                added=position.added,
                already=position.already,
                bad=position.bad,
            )

        yield show


# --- outlets -------------------------------------------------------------------------------


def import_outlets(settings: Settings, path: Path, banks_path: Path | None) -> int | None:
    """Puts the files where the gateway reads them and returns the number of outlets; None where one is bad."""
    target = settings.outlets_csv
    if target is None:
        raise SettingsError(
            f"{variable('outlets_csv')} is not set: set it to the path from which the gateway "
            "shall read the outlets, and run this again."
        )
    banks = _read_banks(banks_path, target)
    if banks is None:
        return None
    outlets, bad = read_outlets(_lines_of(path), read_table("districts"), banks)
    if _tell(path, bad):
        return None
    if not outlets:
        raise SettingsError(f"{path} has no lines.")
    if banks_path is not None:
        _put(banks_path, target.with_name("banks.csv"))
    _put(path, target)
    return len(outlets)


def _read_banks(given: Path | None, target: Path) -> Table | None:
    if given is None:
        kept = target.with_name("banks.csv")
        return Table(read_banks(_lines_of(kept))[0]) if kept.is_file() else Reference.load().banks
    banks, bad = read_banks(_lines_of(given))
    if _tell(given, bad):
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


def _tell(path: Path, bad: Sequence[BadReferenceLine]) -> bool:
    for problem in bad:
        print(f"{path}, line {problem.line}: {problem.reason}", file=sys.stderr)
    return bool(bad)


def _put(source: Path, target: Path) -> None:
    """Replaces the target at once, or leaves it as it was."""
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
