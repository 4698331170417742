"""Sliding-window rate limits in the database: one row per key, guarded by what was read of it.

A row holds how many uses there were by their time, as a JSON object.
"""

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


_FINEST = 60
"""Above this many uses in a window, they are counted by sixtieths of it: a row stays small."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` uses within `window` milliseconds."""

    most: int
    window: int


@dataclass(frozen=True, slots=True)
class Quota:
    """The uses under one key, which is given by its indexes, the current one first; uses under older
    ones count too. `stored` are the rows behind it, `uses` how many there were by their time."""

    keys: Sequence[bytes]
    limits: Sequence[Limit]
    stored: Mapping[bytes, str]
    uses: Mapping[Instant, int]

    def used(self, window: int, now: Instant) -> int:
        return sum(count for at, count in self.uses.items() if now - window < at)

    def free_at(self, now: Instant) -> Instant:
        """0, or the time of the next allowed use if a limit is reached."""
        return max(_free_at(self.uses, limit, now) for limit in self.limits)

    def count(self, writes: Writes, now: Instant) -> Instant:
        """Counts a use; returns the time that it is counted for. If others count meanwhile, the unit
        of work loses its race."""
        at = _rounded(now, self.limits)
        self._save(writes, {**self.uses, at: self.uses.get(at, 0) + 1}, now)
        return at

    def _save(self, writes: Writes, uses: Mapping[Instant, int], now: Instant) -> None:
        current, *older = self.keys
        times = json.dumps(uses)
        if current in self.stored:
            seen = self.stored[current]
            writes.guard(_SAVE, of_key=current, seen=seen, new_times=times, at=now)
        else:
            writes.add(_ADD, key=current, times=times, last_at=now)
        for key in older:
            if key in self.stored:
                writes.guard(_TAKE_OVER, of_key=key, seen=self.stored[key])


async def find(
    db: Reader, counted: Sequence[tuple[Sequence[bytes], Sequence[Limit]]], now: Instant
) -> list[Quota]:
    """The quotas of these keys, in their order, read together.

    Uses in the future do not count: otherwise correcting a fast clock would lock citizens out.
    """
    rows = await fetch_in(db, _FIND, (index for keys, _ in counted for index in keys), _AT_ONCE)
    stored = {bytes(row["key"]): row["times"] for row in rows}
    return [
        Quota(keys, limits, stored, _uses(stored, keys, limits, now)) for keys, limits in counted
    ]


async def consume(
    db: Reader,
    writes: Writes,
    counted: Sequence[tuple[Sequence[bytes], Sequence[Limit]]],
    now: Instant,
) -> Instant:
    """Counts one use under every key. Returns 0, or the time of the next allowed use if a limit is
    reached; then nothing is counted."""
    found = await find(db, counted, now)
    free_at = max(quota.free_at(now) for quota in found)
    if free_at > now:
        return free_at
    for quota in found:
        quota.count(writes, now)
    return 0


async def restore(
    db: Reader, writes: Writes, counted: Sequence[tuple[bytes, Instant]], now: Instant
) -> None:
    """Takes back one use of each key at the time that it was counted for."""
    rows = await fetch_in(db, _FIND, (key for key, _ in counted), _AT_ONCE)
    stored = {bytes(row["key"]): row["times"] for row in rows}
    for key, at in counted:
        uses = _read(stored.get(key))
        if uses.get(at):
            uses[at] -= 1
            left = json.dumps({time: count for time, count in uses.items() if count})
            writes.guard(_SAVE, of_key=key, seen=stored[key], new_times=left, at=now)


def _uses(
    stored: Mapping[bytes, str], keys: Sequence[bytes], limits: Sequence[Limit], now: Instant
) -> dict[Instant, int]:
    longest = max(limit.window for limit in limits)
    found: dict[Instant, int] = {}
    for key in keys:
        for at, count in _read(stored.get(key)).items():
            if now - longest < at <= now + CLOCK_SKEW:
                found[at] = found.get(at, 0) + count
    return found


def _read(times: str | None) -> dict[Instant, int]:
    return {int(at): count for at, count in json.loads(times or "{}").items()}


def _rounded(now: Instant, limits: Sequence[Limit]) -> Instant:
    """The end of a sixtieth of the shortest window where many are counted: never too early, so that no
    window holds more than its limit."""
    grains = (limit.window // _FINEST if limit.most > _FINEST else 1 for limit in limits)
    grain = min(CLOCK_SKEW, *grains)
    return -(-now // grain) * grain


def _free_at(uses: Mapping[Instant, int], limit: Limit, now: Instant) -> Instant:
    left = limit.most
    for at in sorted(uses, reverse=True):
        left -= uses[at]
        if left <= 0 and now - limit.window < at:
            return at + limit.window
    return 0
