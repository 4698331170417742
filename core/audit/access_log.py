"""Looks: what was only viewed, kept in the order of time, a batch at a time.

A look at one's own data changes nothing, and there are many. So the looks of everybody within a
second are written together, as lines of one text, and one entry in a chain of their own (that of
person `EVERYBODY`) vouches for the batch by its number and digest. That chain has a head and is
anchored as every other; `audit_check` finds what was tampered with.

Whose looks a batch holds is filed later, for many batches at once (`file`): in the order of
persons, so that a page of the index is written once for many. What is not filed yet is searched.
"""

import asyncio
import hashlib
import heapq
import itertools
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    Table,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy import Text as LongText

from core.audit import log
from core.audit.log import DONE, WORKER, AuditRecord, audit_entries_table
from core.crypto import Seals
from core.db import Database, Id, Query, Reader, Row, Transaction, insert_into, metadata
from core.kernel.clock import Instant

EVERYBODY = 0
"""The person whose chain vouches for the batches; no citizen and no session has this id."""
BATCH = "VIEWS"

access_log_table = Table(
    "access_log",
    metadata,
    Column("batch", Id, primary_key=True, autoincrement=False),
    Column("views", LongText, nullable=False),
)

access_log_subjects_table = Table(
    "access_log_subjects",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("batch", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

access_log_indexed_table = Table(
    "access_log_indexed",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("batch", Integer, nullable=False),
)
"""One row: the last batch that `access_log_subjects` knows of."""

FILED_AT_ONCE = 50
_ROWS_AT_ONCE = 150
"""In one transaction: whoever changes something hardly waits for it."""
_PAUSE_SECONDS = 0.004
"""Between two of them: others have the processor and the disk."""

_INSERT = insert_into(access_log_table)
_ENTRIES_AFTER = Query(
    select(audit_entries_table.c.number, audit_entries_table.c.details)
    .where(
        audit_entries_table.c.subject_id == EVERYBODY,
        audit_entries_table.c.number > bindparam("after"),
    )
    .order_by(audit_entries_table.c.number)
    .limit(100)
)
_VIEWS = Query(
    select(access_log_table.c.views).where(access_log_table.c.batch == bindparam("of_batch"))
)
_WITHOUT_ENTRY = Query(
    select(func.min(access_log_table.c.batch).label("batch")).where(
        ~select(audit_entries_table.c.number)
        .where(
            audit_entries_table.c.subject_id == EVERYBODY,
            audit_entries_table.c.number == access_log_table.c.batch,
        )
        .exists()
    )
)
_filed = select(func.coalesce(func.max(access_log_indexed_table.c.batch), 0)).scalar_subquery()
_NOT_FILED = Query(
    select(access_log_table)
    .where(access_log_table.c.batch > _filed)
    .order_by(access_log_table.c.batch)
    .limit(FILED_AT_ONCE)
)
_FILE = Query(
    lambda insert: (
        insert(access_log_subjects_table)
        .values(subject_id=bindparam("subject_id"), batch=bindparam("batch"))
        .on_conflict_do_nothing()
    )
)
_BEGIN = Query(
    lambda insert: insert(access_log_indexed_table).values(id=1, batch=0).on_conflict_do_nothing()
)
_MOVE = Query(
    update(access_log_indexed_table)
    .where(access_log_indexed_table.c.batch < bindparam("last"))
    .values(batch=bindparam("last"))
)
_BATCHES_OF = (
    select(access_log_subjects_table.c.batch)
    .where(
        access_log_subjects_table.c.subject_id == bindparam("subject_id"),
        access_log_subjects_table.c.batch <= bindparam("up_to"),
    )
    .order_by(access_log_subjects_table.c.batch.desc())
    .limit(bindparam("most"))
)
_OF_SUBJECT = Query(
    select(access_log_table)
    .where(
        access_log_table.c.batch.in_(select(_BATCHES_OF.subquery().c.batch))
        | (
            (access_log_table.c.batch > _filed)
            & (access_log_table.c.batch <= bindparam("up_to"))
            & access_log_table.c.views.like(bindparam("pattern"))
        )
    )
    .order_by(access_log_table.c.batch.desc())
)


class View(NamedTuple):
    """One look, with its place in the log."""

    batch: int
    position: int
    at: Instant
    action: str
    result: str
    channel: str


async def append(
    db: Transaction, seals: Seals, now: Instant, records: Sequence[AuditRecord]
) -> None:
    """Keeps the looks of anybody, in the order given."""
    views = "".join(
        [
            _LINE
            % (
                record.subject_id,
                record.at,
                record.action,
                record.result,
                record.channel,
                record.session_id,
            )
            for record in records
        ]
    )
    details = json.dumps({"digest": _digest(views), "views": len(records)})
    batch = await log.extend(
        db, seals, AuditRecord(EVERYBODY, now, BATCH, DONE, WORKER, 0, details)
    )
    await db.fetch(_INSERT, batch=batch, views=views)


_LINE = "%d\t%d\t%s\t%s\t%s\t%d\n"
"""The person comes first."""


async def file(database: Database) -> int:
    """Files what was not filed yet, at most `FILED_AT_ONCE` batches, and returns how many.

    Interrupted, or done by several processes at once, it files the same again, to no effect.
    """
    batches = await database.fetch(_NOT_FILED)
    if not batches:
        return 0
    of_batches = []
    for row in batches:
        of_batches.append(_pairs(row))
        await asyncio.sleep(0)  # others' turn: a thread would keep the interpreter for longer
    pairs = heapq.merge(*of_batches)
    while some := list(itertools.islice(pairs, _ROWS_AT_ONCE)):

        async def job(db: Transaction, some: list[tuple[int, int]] = some) -> None:
            rows = [{"subject_id": subject_id, "batch": batch} for subject_id, batch in some]
            await db.execute_many(_FILE, rows)

        await database.write(job)
        await asyncio.sleep(_PAUSE_SECONDS)

    async def finish(db: Transaction) -> None:
        await db.fetch(_BEGIN)
        await db.fetch(_MOVE, last=batches[-1]["batch"])

    await database.write(finish)
    return len(batches)


def _pairs(row: Row) -> list[tuple[int, int]]:
    """Who is in a batch, in the order of persons."""
    batch = row["batch"]
    return sorted({(int(line.partition("\t")[0]), batch) for line in row["views"].splitlines()})


async def of_subject(db: Reader, subject_id: int, up_to: int, most: int) -> list[View]:
    """Theirs, newest first, of the newest `most` batches up to one, and of all that are not filed."""
    rows = await db.fetch(
        _OF_SUBJECT, subject_id=subject_id, up_to=up_to, most=most, pattern=f"%{subject_id}\t%"
    )
    return [view for row in rows for view in _own(subject_id, row["batch"], row["views"])]


def _own(subject_id: int, batch: int, views: str) -> Iterator[View]:
    """From the last line to the first."""
    lines = views.splitlines()
    for position in range(len(lines) - 1, -1, -1):
        whose, at, action, result, channel, _ = lines[position].split("\t")
        if int(whose) == subject_id:
            yield View(batch, position, int(at), action, result, channel)


async def broken_batches(db: Reader) -> AsyncIterator[tuple[int, str]]:
    """Batches that are not what their entries say. The entries themselves: as every chain's."""
    after = 0
    while entries := await db.fetch(_ENTRIES_AFTER, after=after):
        for entry in entries:
            row = await db.fetch_one(_VIEWS, of_batch=entry["number"])
            if row is None or not _fits(entry["details"], row["views"]):
                yield entry["number"], "the views that it vouches for were changed"
        after = entries[-1]["number"]
    row = await db.fetch_one(_WITHOUT_ENTRY)
    if row is not None and row["batch"] is not None:
        yield row["batch"], "views have no entry that vouches for them"


def _fits(details: str, views: str) -> bool:
    try:
        said = json.loads(details)
    except ValueError:
        return False
    return bool(said == {"digest": _digest(views), "views": views.count("\n")})


def _digest(views: str) -> str:
    return hashlib.sha256(views.encode()).hexdigest()
