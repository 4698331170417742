"""Two workers share their budgets through a real Redis."""

import os
import uuid
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from core.kernel.clock import monotonic_clock
from core.kernel.settings import Settings
from gateway.http.admission import Budgets
from gateway.http.admission.shared_budgets import SharedBudgets
from gateway.http.edge import BadRequest

pytestmark = pytest.mark.server

URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
NO_REDIS = f"NO REDIS AT {URL}: budgets shared between workers are not tested. Set TEST_REDIS_URL."
NOWHERE = "redis://127.0.0.1:1/0"


def worker(url: str, prefix: str) -> tuple[Budgets, SharedBudgets]:
    settings = Settings(session_budget=100, address_budget=1_000, total_budget=10_000)
    budgets = Budgets(settings, monotonic_clock)
    return budgets, SharedBudgets(url, budgets, monotonic_clock, prefix)


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    """Of keys of this test's own, removed after it."""
    name = f"test-{uuid.uuid4().hex}"
    async with Redis.from_url(URL) as redis:
        try:
            await redis.ping()
        except RedisError:
            pytest.skip(NO_REDIS)
        yield name
        keys = [key async for key in redis.scan_iter(f"{name}:*")]
        if keys:
            await redis.delete(*keys)


async def test_what_one_worker_gave_the_other_does_not_give_again(prefix: str) -> None:
    (one, tell_one), (other, tell_other) = worker(URL, prefix), worker(URL, prefix)

    one.charge("10.0.0.1", "token", 80)
    await tell_one.exchange()
    other.charge("10.0.0.1", "token", 10)
    await tell_other.exchange()

    with pytest.raises(BadRequest) as refused:
        other.charge("10.0.0.1", "token", 20)
    assert refused.value.code == "RATE_LIMITED"
    other.charge("10.0.0.1", "another", 20)
    await tell_one.stop()
    await tell_other.stop()


async def test_without_telling_each_gives_its_own(prefix: str) -> None:
    """The control: it is the exchange that binds them."""
    (one, tell_one), (other, tell_other) = worker(URL, prefix), worker(URL, prefix)

    one.charge("10.0.0.1", "token", 80)
    other.charge("10.0.0.1", "token", 10)

    other.charge("10.0.0.1", "token", 20)
    await tell_one.stop()
    await tell_other.stop()


async def test_tells_only_digests_of_tokens(prefix: str) -> None:
    budgets, telling = worker(URL, prefix)

    budgets.charge("10.0.0.1", "marked-token", 100)
    budgets.charge("10.0.0.2", None, 900)
    await telling.exchange()

    async with Redis.from_url(URL) as redis:
        keys = [key async for key in redis.scan_iter(f"{prefix}:*")]
        lives = [await redis.pttl(key) for key in keys]
    assert len(keys) == 4
    assert not any(b"marked-token" in key for key in keys)
    assert all(0 < life <= 60_000 for life in lives)
    await telling.stop()


async def test_without_redis_each_worker_goes_on_and_tells_later(prefix: str) -> None:
    budgets, telling = worker(NOWHERE, prefix)

    with capture_logs() as logs:
        for _ in range(3):
            budgets.charge("10.0.0.1", "token", 30)
            await telling.exchange()
    with pytest.raises(BadRequest):
        budgets.charge("10.0.0.1", "token", 30)

    assert [entry["event"] for entry in logs] == ["budgets.not_shared"]
    assert sum((budgets.sessions.consumed or {}).values()) == pytest.approx(54_000)
    await telling.stop()
