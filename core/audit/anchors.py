"""Anchors: periodic MACs over the heads of all chains, themselves chained.

An anchor stores the heads that changed since the previous anchor; its MAC covers them and the previous
anchor's MAC. Truncating a chain and resetting its head, or deleting a whole chain, therefore breaks an
anchor. One anchor stored elsewhere (application log, printout) proves all anchors before it, and so
every head in them.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    bindparam,
    select,
    text,
    update,
)

from core.audit.log import audit_heads_table
from core.audit.well_formed import well_formed
from core.crypto import Seals
from core.db import Database, Query, Reader, Row, Transaction, insert_into, metadata
from core.kernel.clock import Instant

MAX_HEADS = 1_000
"""Heads per anchor, so that its transaction blocks other writers only briefly."""

audit_anchors_table = Table(
    "audit_anchors",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("heads", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)

audit_anchored_heads_table = Table(
    "audit_anchored_heads",
    metadata,
    Column("anchor", Integer, primary_key=True, autoincrement=False),
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Index("ix_audit_anchored_heads_subject_id", "subject_id", "number"),
    sqlite_with_rowid=False,
)

_anchors = well_formed(audit_anchors_table)
_heads = well_formed(audit_heads_table)
_LAST = Query(select(_anchors).order_by(_anchors.c.number.desc()).limit(1).with_for_update())
_MOVED = Query(
    select(_heads.c.subject_id, _heads.c.number, _heads.c.mac)
    .where(text("number > anchored_number"))
    .order_by(_heads.c.subject_id)
    .limit(MAX_HEADS)
    .with_for_update(skip_locked=True)
)
_ADD_ANCHOR = insert_into(audit_anchors_table)
_ADD_HEAD = insert_into(audit_anchored_heads_table)
_SET_ANCHORED_NUMBER = Query(
    update(audit_heads_table)
    .where(audit_heads_table.c.subject_id == bindparam("of_subject"))
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

    async def job(db: Transaction) -> None:
        newest = await last(db)
        if newest is not None and not seals.is_current_mac(newest.mac):
            await _add(db, seals, now, newest, [])

    await anchor_all(database, seals, now)
    await database.write(job)


async def anchor_all(
    database: Database, seals: Seals, now: Instant, interval: int = 0
) -> list[Anchor]:
    """Anchors all changed heads, unless another process did so within `interval` milliseconds."""
    anchored: list[Anchor] = []

    async def job(db: Transaction) -> Anchor | None:
        newest = await last(db)
        is_ours = newest is not None and newest.number == (
            anchored[-1].number if anchored else None
        )
        if newest is not None and not is_ours and 0 <= now - newest.at < interval:
            return None
        return await _anchor_some(db, seals, now, newest)

    while (anchor := await database.write(job)) is not None:
        anchored.append(anchor)
        if anchor.heads < MAX_HEADS:
            break
    return anchored


async def _anchor_some(
    db: Transaction, seals: Seals, now: Instant, newest: Anchor | None
) -> Anchor | None:
    moved = await db.fetch(_MOVED)
    if not moved:
        return None
    return await _add(db, seals, now, newest, moved)


async def _add(
    db: Transaction, seals: Seals, now: Instant, newest: Anchor | None, moved: Sequence[Row]
) -> Anchor:
    number, mac_before = (newest.number + 1, newest.mac) if newest else (1, b"")
    unsealed = Anchor(number, now, len(moved), digest_of(moved), b"")
    mac = seals.audit(*_sealed(unsealed, mac_before))
    anchor = Anchor(number, now, len(moved), unsealed.digest, mac)
    await db.fetch(
        _ADD_ANCHOR,
        number=number,
        at=now,
        heads=anchor.heads,
        digest=anchor.digest,
        mac=mac,
    )
    await _add_heads(db, number, moved)
    return anchor


async def _add_heads(db: Transaction, anchor: int, moved: Sequence[Row]) -> None:
    await db.execute_many(
        _ADD_HEAD,
        [
            {
                "anchor": anchor,
                "subject_id": row["subject_id"],
                "number": row["number"],
                "mac": bytes(row["mac"]),
            }
            for row in moved
        ],
    )
    await db.execute_many(
        _SET_ANCHORED_NUMBER,
        [{"of_subject": row["subject_id"], "anchored": row["number"]} for row in moved],
    )


def digest_of(heads: Iterable[Row]) -> bytes:
    """SHA-256 of heads in the order of their subjects."""
    digest = hashlib.sha256()
    for row in heads:
        mac = bytes(row["mac"])
        digest.update(f"{row['subject_id']}:{row['number']}:{len(mac)}:".encode())
        digest.update(mac)
    return digest.digest()


def _sealed(anchor: Anchor, mac_before: bytes) -> tuple[str | int, ...]:
    return (
        "anchor",
        anchor.number,
        anchor.at,
        anchor.heads,
        anchor.digest.hex(),
        mac_before.hex(),
    )
