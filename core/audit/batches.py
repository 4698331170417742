"""Verifies the batches of the access log: one scan of its rows, in the order of their key."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from sqlalchemy import BigInteger, bindparam, select, tuple_

from core.audit.access_log import LANES, AccessRow, access_log_table, text_of_row
from core.audit.log import audit_entries_table
from core.audit.sets import Sets
from core.audit.well_formed import text_of, well_formed
from core.crypto import Seals
from core.db import Query, Reader, Row

ROWS_AT_ONCE = 2_000
MAX_NAMED = 100
"""How many batches without an entry are named."""
_BELOW_ALL = -1

_entries = well_formed(audit_entries_table)
_rows = well_formed(access_log_table)
_KEY = tuple(access_log_table.primary_key.columns.keys())
_COLUMNS = tuple(access_log_table.columns.keys())
_TEXTS = frozenset({"action", "result", "channel"})
_ROWS_AFTER = Query(
    select(_rows)
    .where(
        tuple_(*(_rows.c[name] for name in _KEY))
        > tuple_(*(bindparam(name, type_=BigInteger) for name in _KEY))
    )
    .order_by(*(_rows.c[name] for name in _KEY))
    .limit(ROWS_AT_ONCE)
)
_ENTRIES_AFTER = Query(
    select(_entries.c.number, _entries.c.details)
    .where(
        _entries.c.subject_id == bindparam("lane", type_=BigInteger),
        _entries.c.number > bindparam("after", type_=BigInteger),
    )
    .order_by(_entries.c.number)
    .limit(ROWS_AT_ONCE)
)
_ENTRY = Query(
    select(_entries.c.number).where(
        _entries.c.subject_id == bindparam("lane", type_=BigInteger),
        _entries.c.number == bindparam("of_batch", type_=BigInteger),
    )
)


async def broken_batches(db: Reader, seals: Seals) -> AsyncIterator[tuple[int, int, str]]:
    """Lane and number of each batch that does not match its audit entry.

    The entries are verified with their chains. Batches that are written meanwhile are passed over.
    """
    lanes = {lane: await _vouched_for(db, seals, lane) for lane in LANES}
    passed: set[tuple[int, int]] = set()
    named = 0
    after = dict.fromkeys(_KEY, _BELOW_ALL)
    while rows := await db.fetch(_ROWS_AFTER, **after):
        after = {name: rows[-1][name] for name in _KEY}
        for lane, number in sorted(_without_entry(lanes, rows) - passed):
            if named == MAX_NAMED:
                break
            passed.add((lane, number))
            if not (lane in lanes and await _is_new(db, lane, number, lanes[lane].newest)):
                named += 1
                yield lane, number, "a batch of the access log has no entry"
    for lane, batches in lanes.items():
        for number in batches.broken():
            yield lane, number, "its batch of the access log was changed"


async def _vouched_for(db: Reader, seals: Seals, lane: int) -> Sets:
    batches = Sets(seals)
    while entries := await db.fetch(_ENTRIES_AFTER, lane=lane, after=batches.newest):
        for entry in entries:
            batches.add(entry["number"], _mac_in(entry["details"]))
    return batches


def _mac_in(details: object) -> bytes | None:
    try:
        return bytes.fromhex(json.loads(text_of(details) or "")["digest"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _without_entry(lanes: Mapping[int, Sets], rows: Iterable[Row]) -> set[tuple[int, int]]:
    """Takes rows away from their batches; returns lane and number of those that have no entry."""
    return {
        (row["lane"], row["batch"])
        for row in rows
        if row["lane"] not in lanes or not lanes[row["lane"]].take(row["batch"], _text(row))
    }


def _text(row: Row) -> str | None:
    values: list[Any] = [text_of(row[name]) if name in _TEXTS else row[name] for name in _COLUMNS]
    return None if None in values else text_of_row(AccessRow(*values))


async def _is_new(db: Reader, lane: int, number: int, newest: int) -> bool:
    """Whether a batch was written since the newest entry that was read."""
    entry = await db.fetch_one(_ENTRY, lane=lane, of_batch=number)
    return number > newest and entry is not None
