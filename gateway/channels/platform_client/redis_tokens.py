"""A platform's token in Redis, shared by all workers and hosts of the gateway.

A worker reads it only when its own copy is missing, expired or refused, about every two
hours, so a connection per access costs less than an idle one. The token is encrypted with
the column keys and expires together with its validity. While Redis is unavailable, each
worker fetches its own token.
"""

import contextlib
from collections.abc import AsyncIterator

import msgspec
import structlog
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

from core.crypto import CannotOpen, Vault
from core.kernel.clock import Instant
from core.kernel.redis_client import connect_redis
from gateway.channels.platform_client.stored_token import StoredToken

LOCK_SECONDS = 15.0
"""After which a lock expires: two calls to a platform take at most five seconds each."""
WAIT_SECONDS = 10.0
TIMEOUT_SECONDS = 1.0

_log = structlog.get_logger("gateway.channels")


class RedisStore:
    """One token under one key."""

    def __init__(self, url: str, vault: Vault, key: str) -> None:
        self._url = url
        self._vault = vault
        self._key = f"card-gateway:{key}"

    def __repr__(self) -> str:
        return f"<RedisStore {self._key}>"

    async def read(self) -> StoredToken | None:
        """None also for a value that was altered or whose key was removed."""
        try:
            async with connect_redis(self._url, timeout_seconds=TIMEOUT_SECONDS) as redis:
                sealed = await redis.get(self._key)
            return None if sealed is None else self._opened(sealed)
        except (RedisError, CannotOpen, msgspec.DecodeError) as error:
            self._failed(error)
            return None

    async def write(self, token: StoredToken, now: Instant) -> None:
        sealed = self._vault.seal(msgspec.json.encode(token), self._key, 0)
        try:
            async with connect_redis(self._url, timeout_seconds=TIMEOUT_SECONDS) as redis:
                await redis.set(self._key, sealed, px=max(1, token.fresh_until - now))
        except RedisError as error:
            self._failed(error)

    @contextlib.asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Expires if the worker dies. Without Redis nothing is locked."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                redis = await stack.enter_async_context(
                    connect_redis(self._url, timeout_seconds=TIMEOUT_SECONDS)
                )
                lock = redis.lock(
                    f"{self._key}:lock", timeout=LOCK_SECONDS, blocking_timeout=WAIT_SECONDS
                )
                if await lock.acquire():
                    stack.push_async_callback(_release, lock)
            except RedisError as error:
                self._failed(error)
            yield

    def _opened(self, sealed: bytes | str) -> StoredToken:
        assert isinstance(sealed, bytes)
        opened = self._vault.open_bytes(sealed, self._key, 0)
        return msgspec.json.decode(opened, type=StoredToken)

    def _failed(self, error: Exception) -> None:
        _log.warning("token store failed", key=self._key, reason=type(error).__name__)


async def _release(lock: Lock) -> None:
    """A lock that was held for too long has expired already."""
    with contextlib.suppress(LockError, RedisError):
        await lock.release()
