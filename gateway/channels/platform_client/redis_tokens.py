"""A platform's token in Redis, for all workers and hosts of the gateway.

A worker asks only when its own copy is missing, at its end or refused, which is every two
hours or so: a connection for each time costs less than one kept open. The token lies there
sealed under the column keys, no longer than it is fresh. Where Redis does not answer, each
worker fetches for itself, as without it.
"""

import contextlib
from collections.abc import AsyncIterator

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import LockError, RedisError

from core.crypto import CannotOpen, Vault
from core.kernel.clock import Instant
from gateway.channels.platform_client.kept_token import KeptToken

TURN_SECONDS = 15.0
"""The longest that one worker holds the turn: two calls to a platform, five seconds each."""
WAIT_SECONDS = 10.0
ANSWER_SECONDS = 1.0

_log = structlog.get_logger("gateway.channels")


class RedisStore:
    """One token under one key."""

    def __init__(self, url: str, vault: Vault, key: str) -> None:
        self._url = url
        self._vault = vault
        self._key = f"card-gateway:{key}"

    def __repr__(self) -> str:
        return f"<RedisStore {self._key}>"

    async def read(self) -> KeptToken | None:
        """None as well for what was altered, or sealed under keys that are gone."""
        try:
            async with self._connected() as redis:
                sealed = await redis.get(self._key)
            return None if sealed is None else self._opened(sealed)
        except (RedisError, CannotOpen, msgspec.DecodeError) as error:
            self._failed(error)
            return None

    async def keep(self, token: KeptToken, now: Instant) -> None:
        sealed = self._vault.seal(msgspec.json.encode(token), self._key, 0)
        try:
            async with self._connected() as redis:
                await redis.set(self._key, sealed, px=max(1, token.fresh_until - now))
        except RedisError as error:
            self._failed(error)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A worker that dies loses its turn; without Redis, every worker has its own."""
        async with contextlib.AsyncExitStack() as held:
            try:
                redis = await held.enter_async_context(self._connected())
                lock = redis.lock(
                    f"{self._key}:turn", timeout=TURN_SECONDS, blocking_timeout=WAIT_SECONDS
                )
                if await lock.acquire():
                    held.push_async_callback(_release, lock)
            except RedisError as error:
                self._failed(error)
            yield

    def _connected(self) -> Redis:
        return Redis.from_url(
            self._url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    def _opened(self, sealed: bytes | str) -> KeptToken:
        assert isinstance(sealed, bytes)
        opened = self._vault.open_bytes(sealed, self._key, 0)
        return msgspec.json.decode(opened, type=KeptToken)

    def _failed(self, error: Exception) -> None:
        _log.warning("token store failed", key=self._key, reason=type(error).__name__)


async def _release(turn: Lock) -> None:
    """Whoever took too long has lost it already."""
    with contextlib.suppress(LockError, RedisError):
        await turn.release()
