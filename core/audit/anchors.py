"""Anchors: periodic MACs over the heads of all chains, themselves chained.

An anchor stores the heads that changed since the previous anchor; its MAC covers them and the previous
anchor's MAC. Truncating a chain and resetting its head, or deleting a whole chain, therefore breaks an
anchor. One anchor stored elsewhere (application log, printout) proves all anchors before it, and so
every head in them.

Heads are read without a lock: one that moves meanwhile was true when it was read, and is anchored again
later. Of several processes that anchor at once, the first to write a number has it.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    Table,
    bindparam,
    func,
    select,
    update,
)

from core.audit.well_formed import fits, well_formed
from core.citizens import audit_heads_table
from core.crypto import Seals
from core.db import (
    Database,
    Query,
    Reader,
    Row,
    Transaction,
    UniqueViolation,
    insert_into,
    metadata,
)
from core.kernel.clock import Instant

MAX_HEADS = 1_000
"""Heads per anchor, so that its transaction blocks other writers only briefly."""
_HEADS_AT_ONCE = 10_000
"""Heads read by one statement to find those that moved, in a few milliseconds: without an index, which
every change would pay for."""
_BELOW_ALL = -1

audit_anchors_table = Table(
    "audit_anchors",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("heads", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)

audit_anchored_heads_table = Table(
    "audit_anchored_heads",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("anchor", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

_anchors = well_formed(audit_anchors_table)
_LAST = Query(select(_anchors).order_by(_anchors.c.number.desc()).limit(1))
_page = (
    select(audit_heads_table.c.subject_id)
    .where(audit_heads_table.c.subject_id > bindparam("after"))
    .order_by(audit_heads_table.c.subject_id)
    .limit(bindparam("limit"))
    .subquery()
)
_END_OF_PAGE = Query(select(func.max(_page.c.subject_id).label("subject_id")))
_MOVED = Query(
    select(audit_heads_table.c.subject_id, audit_heads_table.c.number, audit_heads_table.c.mac)
    .where(
        audit_heads_table.c.subject_id > bindparam("after"),
        audit_heads_table.c.subject_id <= bindparam("until"),
        audit_heads_table.c.number > audit_heads_table.c.anchored_number,
        fits(audit_heads_table),
    )
    .order_by(audit_heads_table.c.subject_id)
)
_ADD_ANCHOR = insert_into(audit_anchors_table)
_ADD_HEAD = insert_into(audit_anchored_heads_table)
_SET_ANCHORED_NUMBER = Query(
    update(audit_heads_table)
    .where(
        audit_heads_table.c.subject_id == bindparam("of_subject"),
        audit_heads_table.c.anchored_number < bindparam("anchored"),
    )
    .values(anchored_number=bindparam("anchored"))
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """`str(anchor)` is what an operator stores elsewhere."""

    number: int
    at: Instant
    heads: int
    digest: bytes
    mac: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.mac.hex()}"

    @classmethod
    def from_row(cls, row: Row) -> "Anchor":
        return cls(row["number"], row["at"], row["heads"], bytes(row["digest"]), bytes(row["mac"]))

    def follows(self, seals: Seals, mac_before: bytes) -> bool:
        return seals.matches_audit(self.mac, *_sealed(self, mac_before))


async def last(db: Reader) -> Anchor | None:
    row = await db.fetch_one(_LAST)
    return None if row is None else Anchor.from_row(row)


async def anchor_under_current_key(database: Database, seals: Seals, now: Instant) -> None:
    """After a rotation of audit keys: anchors every MAC of older keys under the current one."""
    await anchor_all(database, seals, now)
    newest = await last(database)
    while newest is not None and not seals.is_current_mac(newest.mac):
        newest = await _add(database, seals, now, newest, []) or await last(database)


async def anchor_all(
    database: Database, seals: Seals, now: Instant, interval: int = 0
) -> list[Anchor]:
    """Anchors all changed heads, unless another process did so within `interval` milliseconds."""
    anchored: list[Anchor] = []
    newest = await last(database)
    while newest is None or not 0 <= now - newest.at < interval:
        async for moved in _moved_heads(database):
            anchor = await _add(database, seals, now, newest, moved)
            if anchor is None:
                break
            anchored.append(anchor)
            newest = anchor
        else:
            break
        newest = await last(database)
    return anchored


async def _moved_heads(db: Reader) -> AsyncIterator[list[Row]]:
    """The heads that are not anchored, at most `MAX_HEADS` at a time, in the order of subjects."""
    moved: list[Row] = []
    after = _BELOW_ALL
    while True:
        page = await db.fetch_one(_END_OF_PAGE, after=after, limit=_HEADS_AT_ONCE)
        if page is None or page["subject_id"] is None:
            break
        moved += await db.fetch(_MOVED, after=after, until=page["subject_id"])
        after = page["subject_id"]
        while len(moved) >= MAX_HEADS:
            yield moved[:MAX_HEADS]
            del moved[:MAX_HEADS]
    if moved:
        yield moved


async def _add(
    database: Database, seals: Seals, now: Instant, newest: Anchor | None, moved: Sequence[Row]
) -> Anchor | None:
    """The next anchor, or None if another process has written one since `newest` was read."""
    number, mac_before = (newest.number + 1, newest.mac) if newest else (1, b"")
    heads = [
        {"subject_id": row["subject_id"], "number": row["number"], "mac": bytes(row["mac"])}
        for row in moved
    ]
    digest = seals.audit_set(text_of_head(number, head) for head in heads)
    unsealed = Anchor(number, now, len(moved), digest, b"")
    anchor = replace(unsealed, mac=seals.audit(*_sealed(unsealed, mac_before)))

    async def job(db: Transaction) -> None:
        await db.fetch(_ADD_ANCHOR, **asdict(anchor))
        await db.execute_many(_ADD_HEAD, [head | {"anchor": number} for head in heads])
        await db.execute_many(
            _SET_ANCHORED_NUMBER,
            [{"of_subject": head["subject_id"], "anchored": head["number"]} for head in heads],
        )

    try:
        await database.write(job)
    except UniqueViolation:
        if await last(database) == newest:
            raise
        return None
    return anchor


def text_of_head(anchor: int, head: Row) -> str:
    """No two anchored heads have the same text."""
    mac = bytes(head["mac"]).hex()
    return f"anchor:{anchor}:{head['subject_id']}:{head['number']}:{mac}"


def _sealed(anchor: Anchor, mac_before: bytes) -> tuple[str | int, ...]:
    return (
        "anchor",
        anchor.number,
        anchor.at,
        anchor.heads,
        anchor.digest.hex(),
        mac_before.hex(),
    )
