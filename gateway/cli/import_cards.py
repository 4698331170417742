"""`card-gateway import-cards`: cards and their holders from a CSV file."""

import asyncio
import csv
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from core import imports
from core.audit import anchors, operators
from core.db import connect
from core.imports import BadLine, CsvFile, Importer, ImportPosition, Journal, LineReader, WrongFile
from core.kernel.clock import china_date
from core.kernel.settings import Settings, SettingsError
from core.reference import Reference
from gateway.cli.common import (
    OPERATOR,
    operator_named,
    read_settings,
    require_migrated_database,
)
from gateway.resolvers.context import system_clock


def import_cards(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="UTF-8, with a header line.")],
    operator: Annotated[str, OPERATOR],
    errors: Annotated[
        Path | None, typer.Option(help="Write bad lines into this CSV file, not to the terminal.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=20_000, help="Lines in one transaction.")] = 5000,
    journal: Annotated[
        Path | None, typer.Option(help="File that records the progress. [FILE.csv.journal]")
    ] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Into the sandbox's data.")] = False,
) -> None:
    """Imports cards and their holders.

    Columns, in any order, named in the header:

    \b
    name                    as on the ID card
    social_security_number  18 characters, with its check character
    phone                   11 digits, or empty
    card_number             9 letters or digits
    state                   AAZ502 code or name: 0 SEALED, 1 ACTIVE, 2 LOST,
                            3 LOCKED, 4 TEMPORARILY_LOST, 9 CANCELLED
    bank_code               a code of the banks' table
    issue_date              YYYY-MM-DD
    batch_number            up to 64 characters, or empty
    region_code             GB/T 2260 of the city; 510100 if empty or omitted

    Every bad line is reported and skipped; the exit code is then 1. An interrupted import
    resumes after its last batch when it is started again. The operator stands in the audit log.
    """
    name = operator_named(operator)
    found = read_settings(sandbox=sandbox)
    require_migrated_database(found)
    journal = journal or file.with_name(file.name + ".journal")
    # A batch has some ten thousand objects without reference cycles: collect less often.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        end = asyncio.run(_import(found, file, errors, journal, batch, name))
    except WrongFile as error:
        raise SettingsError(str(error)) from None
    except KeyboardInterrupt:
        raise SettingsError(
            "Interrupted: start the same command again to resume after the last batch."
        ) from None
    print(f"{end.added:,} cards added, {end.already:,} already there, {end.bad:,} bad lines.")
    if end.bad:
        raise SystemExit(1)


async def _import(
    settings: Settings,
    path: Path,
    errors: Path | None,
    journal_path: Path,
    batch: int,
    operator: str,
) -> ImportPosition:
    from gateway.app import keys_from

    keys = keys_from(settings)
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
        database = await connect(settings.database_url, settings.database_limits.patient())
        try:
            await operators.record_command(
                database, keys.seals, system_clock(), "import-cards", operator
            )
            importer = Importer(database, keys.vault, keys.seals, system_clock, reader)
            async for position in imports.import_cards(
                importer, file, journal, bad_lines, into=settings.database_url, batch=batch
            ):
                show(position)
            await anchors.anchor_all(database, keys.seals, system_clock())
        finally:
            await database.close()
    return position


class _ErrorFile:
    """Writes bad lines to a CSV file. A resumed import truncates those of an unfinished batch."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._rows = csv.writer(file, lineterminator="\n")

    def report(self, bad: BadLine) -> None:
        self._rows.writerow((bad.line, bad.column, bad.reason))

    def end(self) -> int:
        self._file.flush()
        return self._file.tell()

    def truncate(self, end: int) -> None:
        self._file.seek(end)
        self._file.truncate()
        if end == 0:
            self._rows.writerow(("line", "column", "reason"))


class _ErrorStream:
    """Prints bad lines to the terminal, above the progress bar."""

    def report(self, bad: BadLine) -> None:
        column = f"{bad.column}: " if bad.column else ""
        print(f"line {bad.line}: {column}{bad.reason}", file=sys.stderr)

    def end(self) -> int:
        return 0

    def truncate(self, end: int) -> None:
        """Printed lines cannot be removed."""


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
def _bar(size: int) -> Iterator[Callable[[ImportPosition], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% · line {task.fields[line]:,}"),
        TextColumn("{task.fields[added]:,} added, {task.fields[already]:,} already there"),
        TextColumn("{task.fields[bad]:,} bad"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=size, line=1, added=0, already=0, bad=0)

        def show(position: ImportPosition) -> None:
            progress.update(
                task,
                completed=position.offset,
                line=position.line - 1,
                added=position.added,
                already=position.already,
                bad=position.bad,
            )

        yield show
