"""Access log: who viewed which personal data. Records are stored in time order, one row per batch.

Reads are frequent, so the records of all subjects within a second are written together, as
tab-separated lines of one text. An audit entry per batch, in the chain of the reserved subject
`EVERYBODY`, holds its number and SHA-256; that chain is anchored and verified like any other.

Which subjects a batch contains is indexed later, for many batches at once and in the order of
subjects, so that each index page is written once. Batches that are not indexed yet are searched.
"""

import asyncio
import hashlib
import heapq
import itertools
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    Table,
    bindparam,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy import Text as LongText

from core.audit import log
from core.audit.log import DONE, WORKER, AuditRecord, audit_entries_table
from core.audit.well_formed import as_bytes, text_of, well_formed
from core.crypto import Seals
from core.db import Database, Id, Query, Reader, Row, Transaction, insert_into, metadata
from core.kernel.clock import Instant

EVERYBODY = 0
"""Subject of the chain that covers the batches; no citizen or session has this id."""
BATCH = "ACCESS_LOG"

access_log_table = Table(
    "access_log",
    metadata,
    Column("batch", Id, primary_key=True, autoincrement=False),
    Column("records", LongText, nullable=False),
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
"""One row: the last batch that is in `access_log_subjects`."""

INDEXED_AT_ONCE = 50
_ROWS_AT_ONCE = 150
"""Index rows per transaction, so that it blocks other writers only briefly."""
_PAUSE_SECONDS = 0.004
"""Pause between two transactions, for other tasks and writers."""

_log = structlog.get_logger("audit")

_AFTER = bindparam("after", type_=BigInteger)
_INSERT = insert_into(access_log_table)
_entries = well_formed(audit_entries_table)
_batches = well_formed(access_log_table)
_pairs = well_formed(access_log_subjects_table)
_positions = well_formed(access_log_indexed_table)
_ENTRIES_AFTER = Query(
    select(_entries.c.number, _entries.c.details)
    .where(_entries.c.subject_id == EVERYBODY, _entries.c.number > _AFTER)
    .order_by(_entries.c.number)
    .limit(100)
)
_RECORDS = Query(
    select(_batches.c.records).where(_batches.c.batch == bindparam("of_batch", type_=BigInteger))
)
_WITHOUT_ENTRY = Query(
    select(func.min(_batches.c.batch).label("batch")).where(
        ~select(audit_entries_table.c.number)
        .where(
            audit_entries_table.c.subject_id == EVERYBODY,
            audit_entries_table.c.number == _batches.c.batch,
        )
        .exists()
    )
)
_POSITIONS = Query(select(_positions).order_by(_positions.c.id))
_BATCHES_AFTER = Query(
    select(_batches)
    .where(_batches.c.batch > _AFTER)
    .order_by(_batches.c.batch)
    .limit(INDEXED_AT_ONCE)
)
_PAIRS_AFTER = Query(
    select(_pairs)
    .where(
        tuple_(_pairs.c.subject_id, _pairs.c.batch)
        > tuple_(
            bindparam("after_subject", type_=BigInteger), bindparam("after_batch", type_=BigInteger)
        )
    )
    .order_by(_pairs.c.subject_id, _pairs.c.batch)
    .limit(5_000)
)
_BELOW_ALL = -1
_MODULUS = 2**128
_indexed_batch = select(
    func.coalesce(func.max(access_log_indexed_table.c.batch), 0)
).scalar_subquery()
_NOT_INDEXED = Query(
    select(access_log_table.c.batch, as_bytes(access_log_table.c.records).label("records"))
    .where(access_log_table.c.batch > _indexed_batch)
    .order_by(access_log_table.c.batch)
    .limit(INDEXED_AT_ONCE)
)
_ADD_TO_INDEX = Query(
    lambda insert: (
        insert(access_log_subjects_table)
        .values(subject_id=bindparam("subject_id"), batch=bindparam("batch"))
        .on_conflict_do_nothing()
    )
)
_ADD_INDEX_POSITION = Query(
    lambda insert: insert(access_log_indexed_table).values(id=1, batch=0).on_conflict_do_nothing()
)
_ADVANCE_INDEX_POSITION = Query(
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
    .limit(bindparam("limit"))
)
_OF_SUBJECT = Query(
    select(access_log_table)
    .where(
        access_log_table.c.batch.in_(select(_BATCHES_OF.subquery().c.batch))
        | (
            (access_log_table.c.batch > _indexed_batch)
            & (access_log_table.c.batch <= bindparam("up_to"))
            & access_log_table.c.records.like(bindparam("pattern"))
        )
    )
    .order_by(access_log_table.c.batch.desc())
)


class AccessRecord(NamedTuple):
    """One access, with its place in the log."""

    batch: int
    position: int
    at: Instant
    action: str
    result: str
    channel: str


async def append(
    db: Transaction, seals: Seals, now: Instant, records: Sequence[AuditRecord]
) -> None:
    """Writes one batch of records of any subjects, in the given order."""
    lines = "".join(
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
    details = json.dumps({"digest": _digest(lines), "records": len(records)})
    batch = await log.extend(
        db, seals, AuditRecord(EVERYBODY, now, BATCH, DONE, WORKER, 0, details)
    )
    await db.fetch(_INSERT, batch=batch, records=lines)


_LINE = "%d\t%d\t%s\t%s\t%s\t%d\n"
"""Subject, time, action, result, channel, session."""


async def index_batches(database: Database) -> int:
    """Indexes at most `INDEXED_AT_ONCE` batches and returns how many.

    Idempotent: it may be interrupted, or run in several processes at once.
    """
    batches = await database.fetch(_NOT_INDEXED)
    if not batches:
        return 0
    of_batches = []
    for row in batches:
        subjects = _subjects_in(row)
        if subjects is None:
            _log.error("audit.unreadable", batch=row["batch"])
        else:
            of_batches.append([(subject_id, row["batch"]) for subject_id in sorted(subjects)])
        await asyncio.sleep(0)  # let other tasks run; a thread would hold the GIL for longer
    pairs = heapq.merge(*of_batches)
    while some := list(itertools.islice(pairs, _ROWS_AT_ONCE)):

        async def job(db: Transaction, some: list[tuple[int, int]] = some) -> None:
            rows = [{"subject_id": subject_id, "batch": batch} for subject_id, batch in some]
            await db.execute_many(_ADD_TO_INDEX, rows)

        await database.write(job)
        await asyncio.sleep(_PAUSE_SECONDS)

    async def finish(db: Transaction) -> None:
        await db.fetch(_ADD_INDEX_POSITION)
        await db.fetch(_ADVANCE_INDEX_POSITION, last=batches[-1]["batch"])

    await database.write(finish)
    return len(batches)


def _subjects_in(row: Row) -> set[int] | None:
    """None if the batch cannot be read: it was changed, and verification names it."""
    text = text_of(row["records"])
    if text is None:
        return None
    try:
        subjects = {int(line.partition("\t")[0]) for line in _lines_of(text)}
    except ValueError:
        return None
    return subjects if all(0 <= one < 2**63 for one in subjects) else None


def _lines_of(text: str) -> list[str]:
    """`str.splitlines` would also split at other characters."""
    return text.removesuffix("\n").split("\n")


async def of_subject(db: Reader, subject_id: int, up_to: int, limit: int) -> list[AccessRecord]:
    """The subject's records, newest first, from the newest `limit` indexed batches up to `up_to` and
    from all batches that are not indexed yet."""
    rows = await db.fetch(
        _OF_SUBJECT, subject_id=subject_id, up_to=up_to, limit=limit, pattern=f"%{subject_id}\t%"
    )
    return [
        record for row in rows for record in _records_of(subject_id, row["batch"], row["records"])
    ]


def _records_of(subject_id: int, batch: int, text: str) -> Iterator[AccessRecord]:
    """The subject's records of one batch, last line first."""
    lines = _lines_of(text)
    for position in range(len(lines) - 1, -1, -1):
        owner, at, action, result, channel, _ = lines[position].split("\t")
        if int(owner) == subject_id:
            yield AccessRecord(batch, position, int(at), action, result, channel)


async def broken_batches(db: Reader) -> AsyncIterator[tuple[int, str]]:
    """Batches that do not match their audit entries. The entries are verified with their chain."""
    after = _BELOW_ALL
    while entries := await db.fetch(_ENTRIES_AFTER, after=after):
        for entry in entries:
            row = await db.fetch_one(_RECORDS, of_batch=entry["number"])
            if row is None or not _matches(entry["details"], row["records"]):
                yield entry["number"], "its batch of the access log was changed"
        after = entries[-1]["number"]
    row = await db.fetch_one(_WITHOUT_ENTRY)
    if row is not None and row["batch"] is not None:
        yield row["batch"], "a batch of the access log has no entry"


async def broken_index(db: Reader) -> AsyncIterator[tuple[int, str]]:
    """Batches that the index hides from a subject's history, or shows in that of another."""
    positions = await db.fetch(_POSITIONS)
    last = positions[0]["batch"] if positions else 0
    if [row["id"] for row in positions] not in ([], [1]):
        yield last, "the position of the index was changed"
    indexed, beyond = await _indexed(db, last)
    after = _BELOW_ALL
    while rows := await db.fetch(_BATCHES_AFTER, after=after):
        for row in rows:
            after = row["batch"]
            subjects = _subjects_in(row)
            sum_of_indexed, found_beyond = indexed.pop(after, 0), beyond.pop(after, set())
            if subjects is None:
                continue  # `broken_batches` has named it
            if after <= last and sum_of_indexed != _sum(subjects):
                yield after, "the index of the access log was changed"
            if not found_beyond <= subjects:
                yield after, "the index of the access log was changed"
    for batch in sorted({*indexed, *beyond}):
        yield batch, "the index names a batch that is missing"
    if last > max(after, 0):
        yield last, "the position of the index is behind the last batch"


async def _indexed(db: Reader, last: int) -> tuple[dict[int, int], dict[int, set[int]]]:
    """Per batch up to the last one a sum of its subjects' digests, and the subjects of those beyond."""
    indexed: dict[int, int] = {}
    beyond: dict[int, set[int]] = {}
    place = {"after_subject": _BELOW_ALL, "after_batch": _BELOW_ALL}
    while pairs := await db.fetch(_PAIRS_AFTER, **place):
        for row in pairs:
            subject_id, batch = row["subject_id"], row["batch"]
            if batch <= last:
                indexed[batch] = (indexed.get(batch, 0) + _sum([subject_id])) % _MODULUS
            else:
                beyond.setdefault(batch, set()).add(subject_id)
        place = {"after_subject": subject_id, "after_batch": batch}
    return indexed, beyond


def _sum(subjects: Iterable[int]) -> int:
    """Does not depend on the order."""
    digests = (hashlib.blake2b(b"%d" % one, digest_size=16).digest() for one in subjects)
    return sum(int.from_bytes(digest) for digest in digests) % _MODULUS


def _matches(stored_details: object, stored_records: object) -> bool:
    details, lines = text_of(stored_details), text_of(stored_records)
    if details is None or lines is None:
        return False
    try:
        expected = json.loads(details)
    except (ValueError, RecursionError):
        return False
    return bool(expected == {"digest": _digest(lines), "records": lines.count("\n")})


def _digest(lines: str) -> str:
    return hashlib.sha256(lines.encode()).hexdigest()
