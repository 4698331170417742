"""Time in the core: integer milliseconds since 1970-01-01T00:00Z.

Integers behave the same on SQLite and PostgreSQL and have no time zone. They are converted to
dates only for display. Nothing below the request context reads the clock: time is passed in.

What only measures how long something takes within one process (rates, timeouts, caches, intervals) uses a
`Monotonic` clock instead, which nobody can set.
"""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TypeAlias

Instant: TypeAlias = int
Monotonic: TypeAlias = Callable[[], int]
"""Milliseconds since an unknown moment."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

CLOCK_SKEW = MINUTE
"""How far the clocks of two servers may differ. A start time further in the future means that a
clock was set back; what began then is not valid."""

CHINA = timezone(timedelta(hours=8), "UTC+08:00")
"""China has one time zone and no daylight saving time; all dates are shown in it."""


def monotonic_clock() -> int:
    return time.monotonic_ns() // 1_000_000


def instant(moment: datetime) -> Instant:
    return int(moment.timestamp() * 1000)


def moment(at: Instant) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def china_date(at: Instant) -> date:
    return moment(at).astimezone(CHINA).date()


def seconds_until(at: Instant, now: Instant) -> int:
    """Whole seconds to wait, rounded up, never negative."""
    return max(0, -((now - at) // SECOND))


def is_within(ends_at: Instant, lifetime: int, now: Instant) -> bool:
    """Whether it has begun and not ended. Setting a clock back revalidates nothing."""
    return ends_at - lifetime - CLOCK_SKEW <= now < ends_at
