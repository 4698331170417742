"""Verifies the audit log: every chain, the access log, the chain of anchors, and their consistency.

Reads in pages and may run while the gateway writes: entries added meanwhile are not checked.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from sqlalchemy import BigInteger, bindparam, func, or_, select, tuple_

from core.audit.access_log import access_log_table
from core.audit.anchors import (
    Anchor,
    audit_anchored_heads_table,
    audit_anchors_table,
    text_of_head,
)
from core.audit.batches import broken_batches
from core.audit.foreign import foreign, foreign_to
from core.audit.log import audit_entries_table, is_intact
from core.audit.sets import Sets
from core.audit.well_formed import malformed, shown, well_formed
from core.citizens import audit_heads_table
from core.crypto import Seals
from core.db import Query, Reader
from core.kernel.clock import MINUTE, SECOND, Instant

_ENTRIES_AT_ONCE = 2_000
_BELOW_ALL = -1
MAX_NAMED = 100
"""How many entries without an anchor, or malformed rows of a table, are named."""
MAX_DELAY = 10 * MINUTE
"""How much later than its interval an anchor may be made: a busy database, a restart."""

_TABLES = (
    audit_entries_table,
    audit_heads_table,
    audit_anchors_table,
    audit_anchored_heads_table,
    access_log_table,
)
_FOREIGN = foreign_to(_TABLES)
_MALFORMED = {table: malformed(table, MAX_NAMED) for table in _TABLES}
_heads = well_formed(audit_heads_table)
_entries = well_formed(audit_entries_table)
_anchors = well_formed(audit_anchors_table)
_anchored_heads = well_formed(audit_anchored_heads_table)
_HEADS_AFTER = Query(
    select(_heads)
    .where(_heads.c.subject_id > bindparam("after", type_=BigInteger))
    .order_by(_heads.c.subject_id)
    .limit(500)
)
_CHAIN = Query(
    select(_entries)
    .where(
        _entries.c.subject_id == bindparam("subject_id"),
        _entries.c.number > bindparam("after", type_=BigInteger),
        _entries.c.number <= bindparam("last", type_=BigInteger),
    )
    .order_by(_entries.c.number)
    .limit(_ENTRIES_AT_ONCE)
)
_HEADLESS = Query(
    select(_entries.c.subject_id)
    .where(
        ~select(_heads.c.subject_id).where(_heads.c.subject_id == _entries.c.subject_id).exists()
    )
    .distinct()
)
_BEYOND = Query(
    select(_entries.c.subject_id, func.min(_entries.c.number).label("number"))
    .select_from(_entries.join(_heads, _heads.c.subject_id == _entries.c.subject_id))
    .where(
        or_(
            _entries.c.number > _heads.c.number,
            _entries.c.number < 1,
        )
    )
    .group_by(_entries.c.subject_id)
)
_ANCHORS_AFTER = Query(
    select(_anchors)
    .where(_anchors.c.number > bindparam("after", type_=BigInteger))
    .order_by(_anchors.c.number)
    .limit(100)
)
_OLDEST_ANCHOR = Query(select(_anchors).order_by(_anchors.c.number).limit(1))
_OLDER_ENTRIES = Query(
    select(_entries.c.subject_id, _entries.c.number)
    .where(_entries.c.at < bindparam("before"))
    .order_by(_entries.c.subject_id, _entries.c.number)
    .limit(MAX_NAMED)
)
_UNANCHORED = Query(
    select(_entries.c.subject_id, _entries.c.number)
    .select_from(_entries.join(_heads, _heads.c.subject_id == _entries.c.subject_id))
    .where(
        _entries.c.number > _heads.c.anchored_number,
        _entries.c.at < bindparam("before"),
    )
    .order_by(_entries.c.subject_id, _entries.c.number)
    .limit(MAX_NAMED)
)
_ANCHORED_AFTER = Query(
    select(_anchored_heads)
    .where(
        tuple_(_anchored_heads.c.subject_id, _anchored_heads.c.anchor)
        > tuple_(
            bindparam("after_subject", type_=BigInteger),
            bindparam("after_anchor", type_=BigInteger),
        )
    )
    .order_by(_anchored_heads.c.subject_id, _anchored_heads.c.anchor)
    .limit(_ENTRIES_AT_ONCE)
)
_ANCHOR = Query(
    select(_anchors.c.number).where(_anchors.c.number == bindparam("number", type_=BigInteger))
)
_NOT_REACHED = Query(
    select(_anchored_heads.c.subject_id, func.max(_anchored_heads.c.number).label("number"))
    .select_from(
        _anchored_heads.outerjoin(
            audit_entries_table,
            (audit_entries_table.c.subject_id == _anchored_heads.c.subject_id)
            & (audit_entries_table.c.number == _anchored_heads.c.number),
        )
    )
    .where(
        or_(
            audit_entries_table.c.mac.is_(None),
            audit_entries_table.c.mac != _anchored_heads.c.mac,
        )
    )
    .group_by(_anchored_heads.c.subject_id)
)
_newest_of = (
    select(func.coalesce(func.max(audit_anchored_heads_table.c.number), 0))
    .where(audit_anchored_heads_table.c.subject_id == _heads.c.subject_id)
    .scalar_subquery()
)
_NOT_ANCHORED = Query(
    select(_heads.c.subject_id, _heads.c.anchored_number).where(
        _heads.c.anchored_number != _newest_of
    )
)


_covered = select(
    _anchored_heads.c.anchor,
    _anchored_heads.c.subject_id,
    (
        func.coalesce(
            func.lag(_anchored_heads.c.number).over(
                partition_by=_anchored_heads.c.subject_id, order_by=_anchored_heads.c.anchor
            ),
            0,
        )
        + 1
    ).label("first"),
).subquery("covered")
_COVERED_LATE = Query(
    select(_anchors.c.number, _anchors.c.at.label("until"), func.min(_entries.c.at).label("since"))
    .select_from(
        _covered.join(_anchors, _anchors.c.number == _covered.c.anchor).join(
            _entries,
            (_entries.c.subject_id == _covered.c.subject_id)
            & (_entries.c.number == _covered.c.first),
        )
    )
    .where(
        _anchors.c.at - _entries.c.at > bindparam("patience", type_=BigInteger),
        _anchors.c.number > select(func.min(_anchors.c.number)).scalar_subquery(),
    )
    .group_by(_anchors.c.number, _anchors.c.at)
    .order_by(_anchors.c.number)
    .limit(MAX_NAMED)
)


@dataclass(frozen=True, slots=True)
class BrokenChain:
    subject_id: int
    number: int
    what: str

    def __str__(self) -> str:
        return f"subject {self.subject_id}, entry {self.number}: {self.what}"


@dataclass(frozen=True, slots=True)
class BrokenAnchor:
    number: int
    what: str

    def __str__(self) -> str:
        return f"anchor {self.number}: {self.what}"


@dataclass(frozen=True, slots=True)
class BrokenTable:
    table: str
    what: str

    def __str__(self) -> str:
        return f"table {self.table}: {self.what}"


@dataclass(frozen=True, slots=True)
class CoveredLate:
    """Entries from `since` on were first covered at `until`: in between no gateway ran, or its anchors
    were removed."""

    anchor: int
    since: Instant
    until: Instant

    def __str__(self) -> str:
        return (
            f"anchor {self.anchor}: covered late: entries between {_iso(self.since)} and"
            f" {_iso(self.until)}; legitimate only if no gateway was running then"
        )


def _iso(at: Instant) -> str:
    try:
        return datetime.fromtimestamp(at / SECOND, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(at)


Broken: TypeAlias = BrokenChain | BrokenAnchor | BrokenTable


async def verify(db: Reader, seals: Seals, external: str = "") -> AsyncIterator[Broken | int]:
    """Yields every break, and after each batch the number of chains read so far.

    `external` is an anchor that an operator stored elsewhere, as `number:mac`, the MAC in hex.
    """
    async for name, what in foreign(db, _FOREIGN):
        yield BrokenTable(name, what)
    async for table in _malformed_rows(db):
        yield table
    reported: set[int] = set()
    async for step in _verify_chains(db, seals):
        if isinstance(step, BrokenChain):
            reported.add(step.subject_id)
        yield step
    async for lane, number, what in broken_batches(db, seals):
        yield BrokenChain(lane, number, what)
    async for broken in _verify_anchors(db, seals, external):
        yield broken
    async for chain in _compare(db):
        if chain.subject_id not in reported:
            reported.add(chain.subject_id)
            yield chain


async def _malformed_rows(db: Reader) -> AsyncIterator[BrokenTable]:
    for table, query in _MALFORMED.items():
        for row in await db.fetch(query):
            key = ", ".join(f"{one.name} {shown(row[one.name])}" for one in table.primary_key)
            yield BrokenTable(table.name, f"a value of the row {key} cannot stand there")


async def _verify_chains(db: Reader, seals: Seals) -> AsyncIterator[BrokenChain | int]:
    after, read = _BELOW_ALL, 0
    while heads := await db.fetch(_HEADS_AFTER, after=after):
        for head in heads:
            broken = await _verify_chain(
                db, seals, head["subject_id"], head["number"], bytes(head["mac"])
            )
            if broken is not None:
                yield broken
        after, read = heads[-1]["subject_id"], read + len(heads)
        yield read
    for row in await db.fetch(_HEADLESS):
        yield BrokenChain(row["subject_id"], 0, "the chain has no head")
    for row in await db.fetch(_BEYOND):
        yield BrokenChain(row["subject_id"], row["number"], "an entry is outside its chain")


async def _verify_chain(
    db: Reader, seals: Seals, subject_id: int, last: int, head_mac: bytes
) -> BrokenChain | None:
    if last < 1:
        return BrokenChain(subject_id, last, "the head has no entry")
    before, expected = b"", 0
    while rows := await db.fetch(_CHAIN, subject_id=subject_id, after=expected, last=last):
        for row in rows:
            expected += 1
            if row["number"] != expected:
                return BrokenChain(subject_id, expected, "an entry is missing")
            if not is_intact(seals, row, before):
                return BrokenChain(subject_id, expected, "an entry was changed")
            before = bytes(row["mac"])
    if expected != last or before != head_mac:
        return BrokenChain(subject_id, last, "the end was cut off")
    return None


async def _verify_anchors(db: Reader, seals: Seals, external: str) -> AsyncIterator[BrokenAnchor]:
    heads = Sets(seals)
    before, expected, is_external_found = b"", 0, not external
    while rows := await db.fetch(_ANCHORS_AFTER, after=heads.newest):
        for row in rows:
            anchor, expected = Anchor.from_row(row), expected + 1
            heads.add(anchor.number, anchor.digest)
            is_external_found = is_external_found or str(anchor) == external
            if anchor.number != expected:
                yield BrokenAnchor(expected, "an anchor is missing")
                expected = anchor.number
            elif not anchor.follows(seals, before):
                yield BrokenAnchor(expected, "the anchor was changed")
            before = anchor.mac
    async for broken in _verify_heads(db, heads):
        yield broken
    if not is_external_found:
        number = external.partition(":")[0]
        yield BrokenAnchor(
            int(number) if number.isdecimal() else 0, "the external anchor is missing"
        )


async def _verify_heads(db: Reader, heads: Sets) -> AsyncIterator[BrokenAnchor]:
    """Compares the anchored heads with their anchors, but for those of anchors made meanwhile."""
    passed: set[int] = set()
    named = 0
    place = {"after_subject": _BELOW_ALL, "after_anchor": _BELOW_ALL}
    while rows := await db.fetch(_ANCHORED_AFTER, **place):
        place = {
            "after_subject": rows[-1]["subject_id"],
            "after_anchor": rows[-1]["anchor"],
        }
        missing = {
            row["anchor"]
            for row in rows
            if not heads.take(row["anchor"], text_of_head(row["anchor"], row))
        }
        for number in sorted(missing - passed):
            if named == MAX_NAMED:
                break
            passed.add(number)
            is_new = number > heads.newest and await db.fetch_one(_ANCHOR, number=number)
            if not is_new:
                named += 1
                yield BrokenAnchor(number, "the anchor is missing, its heads are there")
    for number in heads.broken():
        yield BrokenAnchor(number, "the heads that it holds were changed")


async def unanchored(db: Reader, now: Instant, anchor_seconds: int) -> AsyncIterator[BrokenChain]:
    """Entries that an anchor should cover: those before the oldest one, and those that wait too long."""
    patience = anchor_seconds * SECOND + MAX_DELAY
    oldest = await db.fetch_one(_OLDEST_ANCHOR)
    if oldest is not None:
        for row in await db.fetch(_OLDER_ENTRIES, before=oldest["at"] - patience):
            yield BrokenChain(
                row["subject_id"], row["number"], "the entry is older than the oldest anchor"
            )
    for row in await db.fetch(_UNANCHORED, before=now - patience):
        yield BrokenChain(row["subject_id"], row["number"], "no anchor covers the entry")


async def covered_late(db: Reader, anchor_seconds: int) -> AsyncIterator[CoveredLate]:
    """Anchors later than the first that cover entries which an anchor before should have covered."""
    patience = anchor_seconds * SECOND + MAX_DELAY
    for row in await db.fetch(_COVERED_LATE, patience=patience):
        yield CoveredLate(row["number"], row["since"], row["until"])


async def _compare(db: Reader) -> AsyncIterator[BrokenChain]:
    for row in await db.fetch(_NOT_REACHED):
        yield BrokenChain(row["subject_id"], row["number"], "an anchored entry is missing")
    for row in await db.fetch(_NOT_ANCHORED):
        yield BrokenChain(
            row["subject_id"], row["anchored_number"], "the head and its anchors do not agree"
        )
