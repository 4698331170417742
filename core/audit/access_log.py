"""Access log: who viewed which personal data. One row per access, with the subject's other rows.

The rows of all subjects within a second are written together, as a batch. An audit entry per batch
vouches for it: it holds their number and the MAC of their set (`Seals.audit_set`), a sum that does not
depend on the order, so that verification reads the table once, in the order of its key, and keeps
one number per batch. The sum is safe because it is keyed, because each row's text contains lane,
batch and position, so that no two sets share a member, and because the entry itself is chained.

The entries of batches are in the chains of the reserved subjects `LANES`. Of several lanes one can
be written while the part of the database that holds another is lost.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Integer, String, Table, bindparam, select, tuple_

from core.audit import log
from core.audit.log import DONE, WORKER, AuditRecord
from core.crypto import Seals
from core.db import Query, Reader, Transaction, insert_into, metadata
from core.kernel import lengths
from core.kernel.clock import HOUR, Instant, china_date

LANES = range(1, 9)
"""Subjects of the chains that vouch for batches; no citizen or session has such an id."""
BATCH = "ACCESS_LOG"

access_log_table = Table(
    "access_log",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("month", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("batch", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("action", String(32), nullable=False),
    Column("result", String(lengths.PARTNER_CODE), nullable=False),
    Column("channel", String(lengths.CHANNEL_ID), nullable=False),
    Column("session_id", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""`month` is that of `at` in China, as 202612."""

_COLUMNS = tuple(access_log_table.columns.keys())
_INSERT = insert_into(access_log_table)
_PLACE = tuple(access_log_table.primary_key.columns.keys())[1:]
_ENTRY = Query(
    select(log.audit_entries_table.c.details).where(
        log.audit_entries_table.c.subject_id == bindparam("lane"),
        log.audit_entries_table.c.number == bindparam("batch"),
    )
)

_BEFORE = Query(
    select(access_log_table)
    .where(
        access_log_table.c.subject_id == bindparam("subject_id"),
        tuple_(*(access_log_table.c[name] for name in _PLACE))
        < tuple_(*(bindparam(name, type_=BigInteger) for name in _PLACE)),
    )
    .order_by(*(access_log_table.c[name].desc() for name in _PLACE))
    .limit(bindparam("limit"))
)


class AccessRow(NamedTuple):
    subject_id: int
    month: int
    at: Instant
    lane: int
    batch: int
    position: int
    action: str
    result: str
    channel: str
    session_id: int

    @property
    def place(self) -> tuple[int, ...]:
        """Among its subject's: month, at, lane, batch, position."""
        return self.month, self.at, self.lane, self.batch, self.position


class Batch(NamedTuple):
    """A batch and what its entry says about it."""

    lane: int
    number: int
    digest: str


async def append(
    db: Transaction, seals: Seals, now: Instant, lane: int, records: Sequence[AuditRecord]
) -> Batch:
    """Writes one batch of records of any subjects. Without records it shows that a lane works."""
    head = await log.head_of(db, lane)
    rows = [
        AccessRow(
            record.subject_id,
            month_of(record.at),
            record.at,
            lane,
            head.number + 1,
            position,
            str(record.action),
            record.result,
            record.channel,
            record.session_id,
        )
        for position, record in enumerate(sorted(records, key=attrgetter("subject_id")))
    ]
    digest = seals.audit_set(map(text_of_row, rows)).hex()
    details = json.dumps({"digest": digest, "records": len(rows)})
    record = AuditRecord(lane, now, BATCH, DONE, WORKER, 0, details)
    await log.extend(db, seals, head, record)
    await db.execute_many(_INSERT, [dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    return Batch(lane, head.number + 1, digest)


async def was_written(db: Transaction, seals: Seals, now: Instant, batch: Batch) -> bool:
    """Whether a batch is there. If it is not, its number is taken, so that it never will be."""
    if (await log.head_of(db, batch.lane)).number < batch.number:
        await append(db, seals, now, batch.lane, ())
        return False
    entry = await db.fetch_one(_ENTRY, lane=batch.lane, batch=batch.number)
    return entry is not None and json.loads(entry["details"]).get("digest") == batch.digest


def month_of(at: Instant) -> int:
    """The month in China, as 202612."""
    return _month_of_hour(at // HOUR)


@lru_cache(maxsize=1_000)
def _month_of_hour(hour: int) -> int:
    day = china_date(hour * HOUR)
    return day.year * 100 + day.month


_TEXT = "%d:%d:%d:%d:%d:%d:%d:%d:%d:%s%s%s"


def text_of_row(row: AccessRow) -> str:
    """No two rows have the same text: the lengths say where action, result and channel end."""
    subject_id, month, at, lane, batch, position, action, result, channel, session_id = row
    return _TEXT % (
        subject_id,
        month,
        at,
        lane,
        batch,
        position,
        session_id,
        len(action),
        len(result),
        action,
        result,
        channel,
    )


async def before(db: Reader, subject_id: int, place: Sequence[int], limit: int) -> list[AccessRow]:
    """The subject's rows before a place, newest first."""
    values = dict(zip(_PLACE, place, strict=True))
    rows = await db.fetch(_BEFORE, subject_id=subject_id, limit=limit, **values)
    return [AccessRow(*(row[name] for name in _COLUMNS)) for row in rows]
