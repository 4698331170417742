"""Where the workers of the gateway share a platform's token: nowhere, or in Redis."""

import contextlib
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from core.crypto import Vault
from core.kernel.clock import Instant
from core.kernel.settings import Settings, key_ring
from gateway.channels.platform_client.kept_token import KeptToken


class TokenStore(Protocol):
    async def read(self) -> KeptToken | None: ...

    async def keep(self, token: KeptToken, now: Instant) -> None: ...

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Held while a token is renewed, so that one worker does it and the others read it."""
        ...


class NoStore:
    """Each worker for itself."""

    async def read(self) -> KeptToken | None:
        return None

    async def keep(self, token: KeptToken, now: Instant) -> None:
        return None

    def turn(self) -> AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()


def token_store(settings: Settings, platform: str, app_id: str, kind: str = "token") -> TokenStore:
    """Redis and its client are loaded only where they are used."""
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
