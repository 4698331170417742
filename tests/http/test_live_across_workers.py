"""Two server processes on the same data: what one of them takes, a watcher at the other sees.

By PostgreSQL LISTEN/NOTIFY, against the real server on loopback; by polling on SQLite, and on
PostgreSQL without a relay.
"""

import asyncio
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

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


@pytest.fixture
def postgres_url() -> Iterator[str]:
    if not _postgres_answers():
        pytest.skip(f"NO POSTGRESQL AT {POSTGRES_URL}")
    name = f"card_gateway_live_{uuid.uuid4().hex[:12]}"
    asyncio.run(_postgres(f"CREATE DATABASE {name}"))
    yield f"{POSTGRES_URL}/{name}"
    asyncio.run(_postgres(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["postgresql", "without relay", "sqlite"])
def workers(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[LiveServer, LiveServer]]:
    given = {}
    if request.param != "sqlite":
        given["database_url"] = request.getfixturevalue("postgres_url")
        given["sandbox_confirmed"] = "true"
    if request.param == "without relay":
        given["live_relay"] = "none"
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
