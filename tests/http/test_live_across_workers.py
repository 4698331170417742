"""Two server processes on the same data: what one of them takes, a watcher at the other sees.

By PostgreSQL LISTEN/NOTIFY and by Redis pub/sub, against the real servers on loopback; on
SQLite by the sweep.
"""

import asyncio
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.conftest import POSTGRES_URL, _postgres, _postgres_answers
from tests.http.test_live import (
    MAX_SECONDS,
    PROGRESS,
    advance,
    changes,
    progress_in,
    receive,
    sign_out,
    socket,
    subscribe,
)
from tests.live import LiveServer, serving, sign_in

pytestmark = pytest.mark.server

REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


def redis_answers() -> bool:
    with Redis.from_url(REDIS_URL, socket_timeout=1) as redis:
        try:
            return bool(redis.ping())
        except RedisError:
            return False


@pytest.fixture
def postgres_url() -> Iterator[str]:
    if not _postgres_answers():
        pytest.skip(f"NO POSTGRESQL AT {POSTGRES_URL}")
    name = f"card_gateway_live_{uuid.uuid4().hex[:12]}"
    asyncio.run(_postgres(f"CREATE DATABASE {name}"))
    yield f"{POSTGRES_URL}/{name}"
    asyncio.run(_postgres(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["postgresql", "redis", "sqlite"])
def workers(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[LiveServer, LiveServer]]:
    given = {}
    if request.param == "postgresql":
        given = {"database_url": request.getfixturevalue("postgres_url")}
    elif request.param == "redis":
        if not redis_answers():
            pytest.skip(f"NO REDIS AT {REDIS_URL}")
        given = {"redis_url": REDIS_URL}
    with (
        serving(tmp_path, "one", **given) as one,
        serving(tmp_path, "other", **given) as other,
    ):
        yield one, other


async def test_a_change_taken_by_one_worker_is_seen_at_the_other(
    workers: tuple[LiveServer, LiveServer],
) -> None:
    one, other = workers
    with httpx.Client(base_url=other.url, trust_env=False, timeout=30) as http:
        given = {"Authorization": f"Bearer {sign_in(http, 'in-production')}"}
        waits, seen = [], []
        async with socket(one.url, given) as connection:
            await subscribe(connection, PROGRESS)
            await receive(connection)
            for _ in range(4):
                await asyncio.to_thread(advance, http)
                begin = time.monotonic()
                seen += changes(progress_in(await receive(connection)))
                waits.append(time.monotonic() - begin)
            await asyncio.to_thread(sign_out, http, given)
            last = await receive(connection, seconds=1)

    assert [node for node, _ in seen] == [
        "MANUFACTURE",
        "KEY_LOADING",
        "STOCK_TRANSFER",
        "READY_FOR_PICKUP",
    ]
    assert max(waits) <= MAX_SECONDS
    assert last == {"id": "1", "type": "complete"}
