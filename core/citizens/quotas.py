"""Sliding-window rate limits in the database: one row per key, locked while it is checked."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text, bindparam, delete, update

from core.db import Query, Transaction, metadata
from core.kernel.clock import CLOCK_SKEW, Instant

quotas_table = Table(
    "quotas",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("times", Text, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_OPEN = Query(
    lambda insert: (
        insert(quotas_table)
        .values(key=bindparam("key"), times="[]", last_at=bindparam("at"))
        .on_conflict_do_update(index_elements=["key"], set_={"last_at": bindparam("at")})
        .returning(quotas_table.c.times)
    )
)
_SAVE = Query(
    update(quotas_table)
    .where(quotas_table.c.key == bindparam("of_key"))
    .values(times=bindparam("new_times"))
)
_TAKE_OVER = Query(
    delete(quotas_table)
    .where(quotas_table.c.key == bindparam("of_key"))
    .returning(quotas_table.c.times)
)
CLEAR = Query(delete(quotas_table))


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` uses within `window` milliseconds."""

    most: int
    window: int


async def consume(
    db: Transaction, keys: Sequence[bytes], limits: Sequence[Limit], now: Instant
) -> Instant:
    """Counts one use. Returns 0, or the time of the next allowed use if a limit is reached.

    `keys` are the indexes of one key, the current one first; uses under older ones count too.
    Uses in the future do not count: otherwise correcting a fast clock would lock citizens out.
    """
    current, *older = keys
    row = await db.fetch_one(_OPEN, key=current, at=now)
    assert row is not None
    stored = json.loads(row["times"])
    for key in older:
        before = await db.fetch_one(_TAKE_OVER, of_key=key)
        stored += json.loads(before["times"]) if before else []
    longest = max(limit.window for limit in limits)
    times = sorted(at for at in stored if now - longest < at <= now + CLOCK_SKEW)
    free_at = max(_free_at(times, limit, now) for limit in limits)
    if free_at > now:
        return free_at
    await db.fetch(_SAVE, of_key=current, new_times=json.dumps([*times, now]))
    return 0


def _free_at(times: list[Instant], limit: Limit, now: Instant) -> Instant:
    recent = [at for at in times if now - limit.window < at]
    return 0 if len(recent) < limit.most else recent[-limit.most] + limit.window
