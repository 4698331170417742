"""The inbox of a citizen's notices: all that were sent, newest first, with a read mark.

A row is written with the messages of its notice, as another part of the same statement. It is there
too if the citizen has switched both ways off: who looks for it finds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    String,
    Table,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy import Text as LongText

from core.citizens import NOTICES, Notice
from core.db import Query, Reader, Row, Writes, in_batch, insert_into, metadata
from core.kernel.clock import Instant
from core.kernel.ids import new_id
from core.kernel.texts import Text

notices_table = Table(
    "notices",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("notice", String(32), nullable=False),
    Column("details", LongText),
    Column("details_en", LongText),
    Column("at", BigInteger, nullable=False),
    Column("read_at", BigInteger),
    ForeignKeyConstraint(["subject_id"], ["citizens.subject_id"], name="fk_notices_subject_id"),
    sqlite_with_rowid=False,
)

MAX_MARKED = 100
"""Notices marked by one statement."""
NEWEST = 2**63 - 1
"""Above every id."""

_INSERT = insert_into(notices_table)
_BEFORE = Query(
    select(notices_table)
    .where(
        notices_table.c.subject_id == bindparam("subject_id"),
        notices_table.c.id < bindparam("before"),
    )
    .order_by(notices_table.c.id.desc())
    .limit(bindparam("limit"))
)
_is_unread = (
    notices_table.c.subject_id == bindparam("of_subject"),
    notices_table.c.read_at.is_(None),
)
_UNREAD = Query(select(func.count().label("unread")).select_from(notices_table).where(*_is_unread))
_MARK_ALL = Query(
    update(notices_table)
    .where(*_is_unread, notices_table.c.id < bindparam("before"))
    .values(read_at=bindparam("at"))
)
_MARK = Query(
    update(notices_table)
    .where(*_is_unread, in_batch(notices_table.c.id, MAX_MARKED))
    .values(read_at=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class SentNotice:
    """`details` are what the text of this one says beyond that of its kind."""

    id: int
    notice: Notice
    details: Text
    at: Instant
    read_at: Instant | None

    @classmethod
    def from_row(cls, row: Row) -> "SentNotice":
        details = Text(row["details"] or "", row["details_en"] or "")
        return cls(row["id"], NOTICES[row["notice"]], details, row["at"], row["read_at"])


def add(
    writes: Writes, citizen_id: int, notice: Notice, details: Text | None, now: Instant
) -> None:
    writes.add(
        _INSERT,
        subject_id=citizen_id,
        id=new_id(now),
        notice=notice.value,
        details=details and details.zh,
        details_en=details and details.en,
        at=now,
        read_at=None,
    )


async def before(db: Reader, citizen_id: int, notice_id: int, limit: int) -> list[SentNotice]:
    """At most `limit` notices before one, newest first."""
    rows = await db.fetch(_BEFORE, subject_id=citizen_id, before=notice_id, limit=limit)
    return [SentNotice.from_row(row) for row in rows]


async def unread(db: Reader, citizen_id: int) -> int:
    row = await db.fetch_one(_UNREAD, of_subject=citizen_id)
    assert row is not None
    return int(row["unread"])


def mark_all(writes: Writes, citizen_id: int, now: Instant) -> None:
    """What has been sent until now is read."""
    writes.add(_MARK_ALL, of_subject=citizen_id, before=new_id(now), at=now)


def mark(writes: Writes, citizen_id: int, notice_ids: Sequence[int], now: Instant) -> None:
    """Those of the citizen's notices that have these ids are read; other ids do nothing. From 1 to
    `MAX_MARKED` ids."""
    padding = [notice_ids[-1]] * (MAX_MARKED - len(notice_ids))
    named = {f"any{number}": notice_id for number, notice_id in enumerate([*notice_ids, *padding])}
    writes.add(_MARK, of_subject=citizen_id, at=now, **named)
