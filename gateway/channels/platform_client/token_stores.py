"""Where the workers share a platform's token: in Redis, or not at all."""

import contextlib
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from core.crypto import Vault
from core.kernel.clock import Instant
from core.kernel.settings import Settings, key_ring
from gateway.channels.platform_client.stored_token import StoredToken


class TokenStore(Protocol):
    async def read(self) -> StoredToken | None: ...

    async def write(self, token: StoredToken, now: Instant) -> None: ...

    def lock(self) -> AbstractAsyncContextManager[None]:
        """Held while a token is renewed: one worker fetches it, the others then read it."""
        ...


class NoStore:
    """Without Redis: every worker fetches its own token."""

    async def read(self) -> StoredToken | None:
        return None

    async def write(self, token: StoredToken, now: Instant) -> None:
        return None

    def lock(self) -> AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()


def token_store(settings: Settings, platform: str, app_id: str, kind: str = "token") -> TokenStore:
    """The Redis client is imported only if `redis_url` is set."""
    url = settings.redis_url.reveal()
    if not url:
        return NoStore()
    from gateway.channels.platform_client.redis_tokens import RedisStore

    vault = Vault(
        settings.cipher_suite,
        key_ring(settings.column_keys, "column_keys"),
        key_ring(settings.index_keys, "index_keys"),
    )
    return RedisStore(url, vault, f"{platform}:{app_id}:{kind}")
