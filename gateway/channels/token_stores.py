"""Where the workers of the gateway share a platform's token: nowhere, or in Redis."""

import contextlib
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from core.clock import Instant
from core.encryption import Vault
from core.settings import Settings, key_ring


@dataclass(frozen=True, slots=True)
class KeptToken:
    value: str = field(repr=False)
    fetched_at: Instant
    fresh_until: Instant


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
    from gateway.channels.redis_tokens import RedisStore

    vault = Vault(
        settings.cipher_suite,
        key_ring(settings.column_keys, "column_keys"),
        key_ring(settings.index_keys, "index_keys"),
    )
    return RedisStore(url, vault, f"{platform}:{app_id}:{kind}")
