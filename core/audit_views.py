"""Looks: what was only viewed, kept in the order of time, a batch at a time.

A look at one's own data changes nothing, and there are many: an entry in the person's own chain
would dirty several pages of the database that nobody else's entry shares. So the looks of
everybody within a second are kept together, and one entry in a chain of their own (that of
person `EVERYBODY`) vouches for the batch by its number and digest. That chain has a head and
is anchored as every other; `audit_check` finds what was tampered with.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    func,
    select,
)

from core import audit
from core.audit import DONE, WORKER, Note, audit_entries
from core.clock import Instant
from core.database import Query, Reader, Row, Transaction, insert_into, metadata
from core.seals import Seals

EVERYBODY = 0
"""The person whose chain vouches for the batches; no citizen and no session has this id."""
BATCH = "VIEWS"

audit_views = Table(
    "audit_views",
    metadata,
    Column("batch", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("person", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("action", String(32), nullable=False),
    Column("result", String(32), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("session_id", BigInteger, nullable=False),
    Index("ix_audit_views_person_at", "person", "at", "batch", "position"),
    sqlite_with_rowid=False,
)

_COLUMNS = ("batch", "position", "person", "at", "action", "result", "channel", "session_id")
_INSERT = insert_into(audit_views, *_COLUMNS)
_BATCHES_AFTER = Query(
    select(audit_entries.c.number, audit_entries.c.details)
    .where(audit_entries.c.person == EVERYBODY, audit_entries.c.number > bindparam("after"))
    .order_by(audit_entries.c.number)
    .limit(100)
)
_VIEWS_OF = Query(
    select(audit_views)
    .where(audit_views.c.batch == bindparam("of_batch"))
    .order_by(audit_views.c.position)
)
_WITHOUT_ENTRY = Query(
    select(func.min(audit_views.c.batch).label("batch")).where(
        ~select(audit_entries.c.number)
        .where(audit_entries.c.person == EVERYBODY, audit_entries.c.number == audit_views.c.batch)
        .exists()
    )
)


async def append(db: Transaction, seals: Seals, now: Instant, notes: Sequence[Note]) -> None:
    """Keeps the looks of anybody, in the order given."""
    rows = [
        {
            "position": position,
            "person": note.person,
            "at": note.at,
            "action": note.action,
            "result": note.result,
            "channel": note.channel,
            "session_id": note.session_id,
        }
        for position, note in enumerate(notes)
    ]
    details = json.dumps({"digest": digest_of(rows), "views": len(rows)})
    batch = await audit.extend(db, seals, Note(EVERYBODY, now, BATCH, DONE, WORKER, 0, details))
    for row in rows:
        row["batch"] = batch
    await db.execute_many(_INSERT, rows)


async def broken_batches(db: Reader) -> AsyncIterator[tuple[int, str]]:
    """Batches that are not what their entries say. The entries themselves: as every chain's."""
    after = 0
    while entries := await db.fetch(_BATCHES_AFTER, after=after):
        for entry in entries:
            views = await db.fetch(_VIEWS_OF, of_batch=entry["number"])
            if not _fits(entry["details"], views):
                yield entry["number"], "the views that it vouches for were changed"
        after = entries[-1]["number"]
    row = await db.fetch_one(_WITHOUT_ENTRY)
    if row is not None and row["batch"] is not None:
        yield row["batch"], "views have no entry that vouches for them"


def _fits(details: str, views: Sequence[Row]) -> bool:
    try:
        said = json.loads(details)
    except ValueError:
        return False
    return bool(said == {"digest": digest_of(views), "views": len(views)})


def digest_of(views: Iterable[Row | dict[str, Any]]) -> str:
    """SHA-256 over the looks in their order, in hex."""
    digest = hashlib.sha256()
    for view in views:
        line = (
            f"{view['position']} {view['person']} {view['at']} {view['action']}"
            f" {view['result']} {view['channel']} {view['session_id']}\n"
        )
        digest.update(line.encode())
    return digest.hexdigest()
