"""A platform's token shared between workers through a real Redis."""

import asyncio
import base64
import os
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
import respx
from redis.asyncio import Redis
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from core.crypto import KeyRing, Suite, Vault
from core.kernel.clock import SECOND
from gateway.channels import build_channels
from gateway.channels.contract import Channel
from gateway.channels.platform_client import AppToken, Issued, PlatformRefused, redis_tokens
from gateway.channels.platform_client.app_token import MARGIN
from gateway.channels.platform_client.redis_tokens import RedisStore
from gateway.channels.platform_client.token_stores import NoStore

from .parts import NOW, samples_of, settings

pytestmark = pytest.mark.server

URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
NO_REDIS = f"NO REDIS AT {URL}: tokens shared between workers are not tested. Set TEST_REDIS_URL."
NOWHERE = "redis://127.0.0.1:1/0"
LIFETIME = 7200
KEY = base64.b64encode(b"k" * 32).decode()


class Platform:
    """Issues `token1`, `token2`, …"""

    def __init__(self) -> None:
        self.asked = 0

    async def issue(self, now: int, force_new: bool) -> Issued:
        self.asked += 1
        number = self.asked
        await asyncio.sleep(0.02)
        return Issued(f"token{number}", LIFETIME)


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with Redis.from_url(URL) as client:
        try:
            await client.ping()
        except RedisError:
            pytest.skip(NO_REDIS)
        yield client


@pytest.fixture
async def name(redis: Redis) -> AsyncIterator[str]:
    """A key of this test's own."""
    name = f"test:{uuid.uuid4().hex}"
    yield name
    await redis.delete(*[key async for key in redis.scan_iter(f"card-gateway:{name}*")], "unused")


def vault(key: bytes = b"v" * 32) -> Vault:
    ring = KeyRing({"test": key})
    return Vault(Suite.INTERNATIONAL, ring, ring)


def worker(platform: Platform, name: str, url: str = URL, key: bytes = b"v" * 32) -> AppToken:
    return AppToken(platform.issue, RedisStore(url, vault(key), name))


def workers(platform: Platform, name: str, count: int = 10) -> list[AppToken]:
    return [worker(platform, name) for _ in range(count)]


async def test_many_workers_at_once_fetch_one_token(name: str) -> None:
    platform = Platform()

    tokens = await asyncio.gather(*(each.current(NOW) for each in workers(platform, name)))

    assert set(tokens) == {"token1"}
    assert platform.asked == 1


async def test_without_a_store_each_worker_fetches_its_own() -> None:
    platform = Platform()
    alone = [AppToken(platform.issue, NoStore()) for _ in range(10)]

    await asyncio.gather(*(each.current(NOW) for each in alone))

    assert platform.asked == 10


async def test_many_workers_that_find_it_refused_replace_it_once(name: str) -> None:
    platform = Platform()
    found = workers(platform, name)
    await asyncio.gather(*(each.current(NOW) for each in found))

    tokens = await asyncio.gather(*(each.after_refusal("token1", NOW) for each in found))

    assert set(tokens) == {"token2"}
    assert platform.asked == 2


async def test_one_worker_renews_it_for_all(name: str) -> None:
    platform = Platform()
    found = workers(platform, name)
    await asyncio.gather(*(each.current(NOW) for each in found))
    renewal = NOW + LIFETIME * SECOND - MARGIN

    tokens = await asyncio.gather(*(each.current(renewal) for each in found))

    assert set(tokens) == {"token2"}
    assert platform.asked == 2


async def test_a_worker_that_knows_it_asks_nobody(name: str, redis: Redis) -> None:
    platform = Platform()
    token = worker(platform, name)
    await token.current(NOW)
    await redis.delete(f"card-gateway:{name}")

    assert await token.current(NOW + SECOND) == "token1"
    assert platform.asked == 1


async def test_lies_sealed_and_no_longer_than_it_is_fresh(name: str, redis: Redis) -> None:
    await worker(Platform(), name).current(NOW)

    kept = await redis.get(f"card-gateway:{name}")
    assert isinstance(kept, bytes)
    lives = await redis.pttl(f"card-gateway:{name}")

    assert b"token1" not in kept
    assert LIFETIME * SECOND - MARGIN - 5_000 < lives <= LIFETIME * SECOND - MARGIN
    assert "redis" not in repr(RedisStore(URL, vault(), name)).replace("RedisStore", "")


@pytest.mark.parametrize("damage", ["altered", "garbage", "another key", "another name"])
async def test_takes_nothing_from_redis_that_is_not_its_own(
    name: str, redis: Redis, damage: str
) -> None:
    platform = Platform()
    await worker(platform, name).current(NOW)
    kept = await redis.get(f"card-gateway:{name}")
    assert isinstance(kept, bytes)
    if damage == "altered":
        await redis.set(f"card-gateway:{name}", kept[:-1] + bytes([kept[-1] ^ 1]))
    elif damage == "garbage":
        await redis.set(f"card-gateway:{name}", b"\x04garbage")
    elif damage == "another name":
        await redis.set(f"card-gateway:{name}:other", kept)
    another = worker(
        platform,
        f"{name}:other" if damage == "another name" else name,
        key=b"w" * 32 if damage == "another key" else b"v" * 32,
    )

    with capture_logs() as logs:
        token = await another.current(NOW)

    assert token == "token2"
    assert [entry["reason"] for entry in logs] == ["CannotOpen"]


async def test_works_alone_while_redis_does_not_answer(name: str) -> None:
    platform = Platform()
    token = worker(platform, name, NOWHERE)

    with capture_logs() as logs:
        assert await token.current(NOW) == "token1"
        assert await token.after_refusal("token1", NOW) == "token2"

    assert {entry["event"] for entry in logs} == {"token store failed"}
    assert await token.current(NOW) == "token2"


async def test_does_not_wait_for_ever_for_a_worker_that_died_in_its_turn(
    name: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_tokens, "WAIT_SECONDS", 0.3)
    await redis.set(f"card-gateway:{name}:turn", b"of the dead", px=15_000)

    assert await worker(Platform(), name).current(NOW) == "token1"


async def test_gives_its_turn_back_when_the_platform_fails(name: str, redis: Redis) -> None:
    async def fail(now: int, force_new: bool) -> Issued:
        raise PlatformRefused("down")

    with pytest.raises(PlatformRefused):
        await AppToken(fail, RedisStore(URL, vault(), name)).current(NOW)

    assert await redis.get(f"card-gateway:{name}:turn") is None


async def test_two_gateways_with_redis_sign_in_under_one_token(
    kind: type[Channel], redis: Redis, http: httpx.AsyncClient, wire: respx.Router
) -> None:
    samples = samples_of(kind)
    routes = {
        call.name: wire.request(call.method, url__startswith=call.url).respond(
            json=dict(call.reply)
        )
        for call in samples.calls
    }
    given = settings(redis_url=URL, column_keys=f"t:{KEY}", index_keys=f"t:{KEY}")
    await _forget(redis)

    for _ in range(2):
        channel = build_channels(given, http)[kind.id]
        assert await channel.identify(samples.credential, NOW) == samples.identity
    await _forget(redis)

    token_calls = [call.name for call in samples.calls if call.fetches_token]
    assert {name: routes[name].call_count for name in token_calls} == dict.fromkeys(token_calls, 1)


async def _forget(redis: Redis) -> None:
    async for key in redis.scan_iter("card-gateway:*:??0000000000000001:*"):
        await redis.delete(key)
