"""The token with which the gateway itself speaks to a platform.

Shared by all tasks, and where there is a store for it, by all workers.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from core.kernel.clock import MINUTE, SECOND, Instant
from gateway.channels.platform_client.breaker import PlatformRefused
from gateway.channels.platform_client.kept_token import KeptToken
from gateway.channels.platform_client.single_flight import SingleFlight
from gateway.channels.platform_client.token_stores import NoStore, TokenStore

T = TypeVar("T")

MARGIN = 4 * MINUTE
"""WeChat hands out the next token from five minutes before the end, so it is asked after that."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token as the platform issued it."""

    value: str = field(repr=False)
    lifetime_seconds: int


Fetch: TypeAlias = Callable[[Instant, bool], Awaitable[Issued]]
"""Asks the platform at a moment; True demands a new token instead of the one it still holds."""


class AppToken:
    """Fetched when first needed, kept until shortly before its end, replaced once when refused."""

    def __init__(self, fetch: Fetch, store: TokenStore | None = None) -> None:
        self._fetch = fetch
        self._store = store or NoStore()
        self._held = KeptToken("", 0, 0)
        self._flights: SingleFlight[str] = SingleFlight()

    async def current(self, now: Instant) -> str:
        if now < self._held.fresh_until:
            return self._held.value
        return await self._flights.join("renew", lambda: self._renew(now))

    async def after_refusal(self, refused: str, now: Instant) -> str:
        """A token other than `refused`, which the platform no longer accepts."""
        if self._held.value not in ("", refused):
            return self._held.value
        return await self._flights.join("replace", lambda: self._replace(refused, now))

    async def use(
        self, call: Callable[[str], Awaitable[T]], now: Instant, stale: Callable[[str], bool]
    ) -> T:
        """Calls with the token; after a refusal that means it is `stale`, once with another."""
        token = await self.current(now)
        try:
            return await call(token)
        except PlatformRefused as refusal:
            if not stale(refusal.code):
                raise
        return await call(await self.after_refusal(token, now))

    def is_older_than(self, age: int, now: Instant) -> bool:
        return now - self._held.fetched_at > age

    async def _renew(self, now: Instant) -> str:
        async with self._store.turn():
            return await self._shared(now) or await self._ask(now)

    async def _replace(self, refused: str, now: Instant) -> str:
        """Somebody else may have renewed it already: only then is a new one demanded."""
        async with self._store.turn():
            shared = await self._shared(now)
            if shared and shared != refused:
                return shared
            renewed = await self._ask(now)
            return renewed if renewed != refused else await self._ask(now, demand_new=True)

    async def _shared(self, now: Instant) -> str:
        """What another worker fetched, or an empty text."""
        kept = await self._store.read()
        if kept is None or now >= kept.fresh_until:
            return ""
        self._held = kept
        return kept.value

    async def _ask(self, now: Instant, *, demand_new: bool = False) -> str:
        issued = await self._fetch(now, demand_new)
        lifetime = issued.lifetime_seconds * SECOND
        fresh_until = now + lifetime - min(MARGIN, lifetime // 2)
        self._held = KeptToken(issued.value, now, fresh_until)
        await self._store.keep(self._held, now)
        return issued.value
