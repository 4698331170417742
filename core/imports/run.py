"""Runs an import: batch by batch, from the journal's position."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import bindparam, select, text

from core.cards import cards_table
from core.citizens import audit_heads_table, citizens_table, claims_table
from core.crypto import Seals, Vault
from core.db import Database, Query, Transaction
from core.imports.batch import KeyedLine, Written, write_batch
from core.imports.journal import ImportPosition, Journal
from core.imports.lines import BadLine, CardLine, LineReader
from core.imports.source import CsvFile, RawLine
from core.kernel.clock import Instant

_FOR_BULK = (
    Query(text("PRAGMA cache_size = -65536")),
    Query(text("PRAGMA wal_autocheckpoint = 10000")),
)
"""Blind indexes are random keys: 64 MB of page cache and rare checkpoints avoid rewriting their pages."""

_BY_INDEX = Query(text("SET LOCAL enable_seqscan = off"))
_ANALYZE = tuple(
    Query(text(f"ANALYZE {table.name}"))
    for table in (claims_table, citizens_table, cards_table, audit_heads_table)
)

_IS_THERE = Query(
    select(cards_table.c.id).where(
        cards_table.c.subject_id == bindparam("subject_id"),
        cards_table.c.id == bindparam("card_id"),
    )
)


class BadLines(Protocol):
    """The report of lines that were not imported."""

    def report(self, bad: BadLine) -> None: ...

    def end(self) -> int:
        """Flushes the report and returns its length in bytes."""

    def truncate(self, end: int) -> None:
        """Discards the report from byte `end` on."""


@dataclass(frozen=True, slots=True)
class Importer:
    database: Database
    vault: Vault
    seals: Seals
    clock: Callable[[], Instant]
    reader: LineReader

    async def prepare(self) -> None:
        """Configures SQLite's connection for bulk writes."""
        if self.database.dialect.name == "sqlite":
            await self._run(_FOR_BULK)

    async def analyze_if_grown(self, batches: int) -> None:
        """Runs ANALYZE on PostgreSQL after 1, 2, 4, … batches, so that its planner knows the sizes."""
        if self.database.dialect.name == "postgresql" and batches.bit_count() == 1:
            await self._run(_ANALYZE)

    async def _run(self, queries: Iterable[Query]) -> None:
        async def job(db: Transaction) -> None:
            for query in queries:
                await db.fetch(query)

        await self.database.write(job)

    async def write(self, lines: Sequence[KeyedLine]) -> Written:
        async def job(db: Transaction) -> Written:
            if self.database.dialect.name == "postgresql":
                await db.fetch(_BY_INDEX)
            return await write_batch(db, self.vault, self.seals, self.clock(), lines)

        return await self.database.write(job)

    async def has_card(self, citizen_id: int, card_id: int) -> bool:
        row = await self.database.fetch_one(_IS_THERE, subject_id=citizen_id, card_id=card_id)
        return row is not None


async def import_cards(
    importer: Importer,
    file: CsvFile,
    journal: Journal,
    bad_lines: BadLines,
    *,
    into: str,
    batch: int,
) -> AsyncIterator[ImportPosition]:
    """Yields its position before the first and after each batch. `into` identifies the database."""
    await importer.prepare()
    name = file.digest + into.encode()
    position = await _position(importer, journal, name) or ImportPosition(file.begins, 2)
    if position.line == 2:
        journal.begin()
    bad_lines.truncate(position.errors_end)
    yield position
    raws = file.lines(position.offset, position.line)
    for batches in itertools.count(1):
        some = list(itertools.islice(raws, batch))
        if not some:
            break
        lines, bad = _checked(importer, some)
        keyed, repeated = _first_of_each(journal, lines)
        written = await importer.write(keyed)
        await importer.analyze_if_grown(batches)
        bad = sorted([*bad, *repeated, *written.bad], key=lambda problem: problem.line)
        for problem in bad:
            bad_lines.report(problem)
        position.offset, position.line = some[-1].ends, some[-1].line + 1
        position.added += written.added
        position.already += written.already
        position.bad += len({problem.line for problem in bad})
        position.errors_end = bad_lines.end()
        if written.added:
            position.last_citizen, position.last_card = written.last_card
        journal.save(name, position)
        yield position
    journal.remove()


async def _position(importer: Importer, journal: Journal, name: bytes) -> ImportPosition | None:
    """None unless this database contains the last card of the journal."""
    found = journal.position(name)
    if found and await importer.has_card(found.last_citizen, found.last_card):
        return found
    return None


def _checked(importer: Importer, raws: Iterable[RawLine]) -> tuple[list[KeyedLine], list[BadLine]]:
    lines, bad = [], []
    for raw in raws:
        found = [raw.bad] if raw.bad else importer.reader.read(raw.line, raw.cells)
        if isinstance(found, CardLine):
            lines.append(KeyedLine.of(found, importer.vault))
        else:
            bad += found
    return lines, bad


def _first_of_each(
    journal: Journal, lines: Sequence[KeyedLine]
) -> tuple[list[KeyedLine], list[BadLine]]:
    """Lines with the first occurrence of their card in the file, and the repeated ones."""
    firsts = journal.first_lines([(keyed.card_key, keyed.line.line) for keyed in lines])
    good, repeated = [], []
    for keyed, first in zip(lines, firsts, strict=True):
        if first == keyed.line.line:
            good.append(keyed)
        else:
            reason = f"the card is already on line {first}"
            repeated.append(BadLine(keyed.line.line, "card_number", reason))
    return good, repeated
