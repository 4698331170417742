"""Sliding-window rate limits."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.citizens import Limit, quotas
from core.db import Database
from core.kernel.clock import DAY, HOUR, MINUTE, Instant
from core.unit_of_work import UnitOfWork
from tests.units import perform_in

START = 1_700_000_000_000
PHONE = [Limit(5, HOUR), Limit(10, DAY)]


async def consume(db: Database, now: Instant, limits: list[Limit], key: bytes = b"k") -> Instant:
    async def work(unit: UnitOfWork) -> Instant:
        return await quotas.consume(unit.db, unit.writes, [([key], limits)], now)

    return int(await perform_in(db, None, now, work))


async def test_allows_as_many_as_the_limit_and_then_says_when(db: Database) -> None:
    answers = [await consume(db, START + n * MINUTE, PHONE) for n in range(6)]

    assert answers == [0, 0, 0, 0, 0, START + HOUR]


async def test_the_window_slides(db: Database) -> None:
    for n in range(5):
        await consume(db, START + n * MINUTE, PHONE)

    assert await consume(db, START + HOUR - 1, PHONE) == START + HOUR
    assert await consume(db, START + HOUR, PHONE) == 0
    assert await consume(db, START + HOUR, PHONE) == START + HOUR + MINUTE


async def test_the_longer_window_counts_beside_the_shorter(db: Database) -> None:
    for n in range(10):
        assert await consume(db, START + n * 20 * MINUTE, PHONE) == 0

    assert await consume(db, START + 4 * HOUR, PHONE) == START + DAY
    assert await consume(db, START + DAY, PHONE) == 0


async def test_what_was_refused_is_not_counted(db: Database) -> None:
    for n in range(5):
        await consume(db, START + n, PHONE)
    for n in range(100):
        await consume(db, START + MINUTE + n, PHONE)

    assert await consume(db, START + HOUR, PHONE) == 0


async def test_keys_do_not_count_for_each_other(db: Database) -> None:
    assert await consume(db, START, [Limit(1, HOUR)], b"a") == 0
    assert await consume(db, START, [Limit(1, HOUR)], b"b") == 0


async def test_of_many_at_once_no_more_than_the_limit_pass(db: Database) -> None:
    answers = await asyncio.gather(*(consume(db, START, PHONE) for _ in range(50)))

    assert sorted(answers) == [0] * 5 + [START + HOUR] * 45


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(st.integers(0, 30 * MINUTE), min_size=1, max_size=30), key=st.binary(min_size=8)
)
async def test_no_window_ever_holds_more_than_its_limit(
    db: Database, steps: list[int], key: bytes
) -> None:
    allowed, now = [], START
    for step in steps:
        now += step
        if await consume(db, now, PHONE, key) == 0:
            allowed.append(now)

    for limit in PHONE:
        for at in allowed:
            assert sum(1 for other in allowed if at <= other < at + limit.window) <= limit.most
