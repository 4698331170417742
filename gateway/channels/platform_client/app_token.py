"""The access token with which the gateway authenticates to a platform.

All tasks of a process share one token; with Redis, all workers do.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from core.kernel.clock import CLOCK_SKEW, MINUTE, SECOND, Instant
from gateway.channels.platform_client.breaker import PlatformRefused
from gateway.channels.platform_client.single_flight import SingleFlight
from gateway.channels.platform_client.stored_token import StoredToken
from gateway.channels.platform_client.token_stores import NoStore, TokenStore

T = TypeVar("T")

MARGIN = 4 * MINUTE
"""Before its expiry a token is renewed. WeChat issues the next one in the last five minutes only."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A token as the platform issued it."""

    value: str = field(repr=False)
    lifetime_seconds: int


Fetch: TypeAlias = Callable[[Instant, bool], Awaitable[Issued]]
"""Requests a token, at a time; True forces a new one instead of the one still valid."""


class AppToken:
    """Fetched on first use, cached until shortly before its expiry, replaced once when refused."""

    def __init__(self, fetch: Fetch, store: TokenStore | None = None) -> None:
        self._fetch = fetch
        self._store = store or NoStore()
        self._held = StoredToken("", 0, 0)
        self._single_flight: SingleFlight[str] = SingleFlight()

    async def current(self, now: Instant) -> str:
        if _is_fresh(self._held, now):
            return self._held.value
        return await self._single_flight.join("renew", lambda: self._renew(now))

    async def after_refusal(self, refused: str, now: Instant) -> str:
        """A token other than `refused`, which the platform no longer accepts."""
        if self._held.value not in ("", refused):
            return self._held.value
        return await self._single_flight.join("replace", lambda: self._replace(refused, now))

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
        """Also if the clock was set back since."""
        return not 0 <= now - self._held.fetched_at <= age

    async def _renew(self, now: Instant) -> str:
        async with self._store.lock():
            return await self._shared(now) or await self._request(now)

    async def _replace(self, refused: str, now: Instant) -> str:
        """Forces a new token only if nobody else has renewed the refused one already."""
        async with self._store.lock():
            shared = await self._shared(now)
            if shared and shared != refused:
                return shared
            renewed = await self._request(now)
            return renewed if renewed != refused else await self._request(now, force_new=True)

    async def _shared(self, now: Instant) -> str:
        """The token that another worker stored; empty if there is none or it expires soon."""
        stored = await self._store.read()
        if stored is None or not _is_fresh(stored, now):
            return ""
        self._held = stored
        return stored.value

    async def _request(self, now: Instant, *, force_new: bool = False) -> str:
        issued = await self._fetch(now, force_new)
        lifetime = issued.lifetime_seconds * SECOND
        fresh_until = now + lifetime - min(MARGIN, lifetime // 2)
        self._held = StoredToken(issued.value, now, fresh_until)
        await self._store.write(self._held, now)
        return issued.value


def _is_fresh(token: StoredToken, now: Instant) -> bool:
    """A token of the future was fetched before a clock was set back: its end is not known."""
    return token.fetched_at - CLOCK_SKEW <= now < token.fresh_until
