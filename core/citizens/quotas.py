"""Sliding-window rate limits in the database: one row per key, guarded by what was read of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    Table,
    Text,
    bindparam,
    delete,
    select,
    update,
)

from core.db import Query, Reader, Writes, fetch_in, in_batch, insert_into, metadata
from core.kernel.clock import CLOCK_SKEW, Instant

quotas_table = Table(
    "quotas",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("times", Text, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_AT_ONCE = 20

_FIND = Query(
    select(quotas_table.c.key, quotas_table.c.times).where(in_batch(quotas_table.c.key, _AT_ONCE))
)
_ADD = insert_into(quotas_table)
_is_as_seen = (quotas_table.c.key == bindparam("of_key"), quotas_table.c.times == bindparam("seen"))
_SAVE = Query(
    update(quotas_table)
    .where(*_is_as_seen)
    .values(times=bindparam("new_times"), last_at=bindparam("at"))
)
_TAKE_OVER = Query(delete(quotas_table).where(*_is_as_seen))
CLEAR = Query(delete(quotas_table))


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` uses within `window` milliseconds."""

    most: int
    window: int


async def consume(
    db: Reader,
    writes: Writes,
    counted: Sequence[tuple[Sequence[bytes], Sequence[Limit]]],
    now: Instant,
) -> Instant:
    """Counts one use under every key. Returns 0, or the time of the next allowed use if a limit is
    reached; then nothing is counted.

    Each key is given by its indexes, the current one first; uses under older ones count too. Uses in
    the future do not count: otherwise correcting a fast clock would lock citizens out. If others
    count meanwhile, the unit of work loses its race.
    """
    rows = await fetch_in(db, _FIND, (index for keys, _ in counted for index in keys), _AT_ONCE)
    stored = {bytes(row["key"]): row["times"] for row in rows}
    uses = [_uses(stored, keys, limits, now) for keys, limits in counted]
    free_at = max(
        _free_at(times, limit, now)
        for times, (_, limits) in zip(uses, counted, strict=True)
        for limit in limits
    )
    if free_at > now:
        return free_at
    for times, (keys, _) in zip(uses, counted, strict=True):
        _save(writes, stored, keys, json.dumps([*times, now]), now)
    return 0


def _uses(
    stored: Mapping[bytes, str], keys: Sequence[bytes], limits: Sequence[Limit], now: Instant
) -> list[Instant]:
    longest = max(limit.window for limit in limits)
    found = [at for key in keys for at in json.loads(stored.get(key, "[]"))]
    return sorted(at for at in found if now - longest < at <= now + CLOCK_SKEW)


def _save(
    writes: Writes, stored: Mapping[bytes, str], keys: Sequence[bytes], times: str, now: Instant
) -> None:
    current, *older = keys
    if current in stored:
        writes.guard(_SAVE, of_key=current, seen=stored[current], new_times=times, at=now)
    else:
        writes.add(_ADD, key=current, times=times, last_at=now)
    for key in older:
        if key in stored:
            writes.guard(_TAKE_OVER, of_key=key, seen=stored[key])


def _free_at(times: list[Instant], limit: Limit, now: Instant) -> Instant:
    recent = [at for at in times if now - limit.window < at]
    return 0 if len(recent) < limit.most else recent[-limit.most] + limit.window
