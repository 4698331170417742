"""The token with which the gateway itself speaks to a platform, shared by all tasks."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from core.clock import MINUTE, SECOND, Instant
from gateway.channels.breaker import PlatformRefused
from gateway.channels.flights import Flights

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

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._value = ""
        self._fetched_at: Instant = 0
        self._fresh_until: Instant = 0
        self._flights: Flights[str] = Flights()

    async def current(self, now: Instant) -> str:
        if self._value and now < self._fresh_until:
            return self._value
        return await self._flights.join("renew", lambda: self._renew(now))

    async def after_refusal(self, refused: str, now: Instant) -> str:
        """A token other than `refused`, which the platform no longer accepts."""
        if self._value and self._value != refused:
            return self._value
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
        return now - self._fetched_at > age

    async def _replace(self, refused: str, now: Instant) -> str:
        """Another process may have renewed it already: only then is a new one demanded."""
        renewed = await self._renew(now)
        return renewed if renewed != refused else await self._renew(now, demand_new=True)

    async def _renew(self, now: Instant, *, demand_new: bool = False) -> str:
        issued = await self._fetch(now, demand_new)
        lifetime = issued.lifetime_seconds * SECOND
        self._value = issued.value
        self._fetched_at = now
        self._fresh_until = now + lifetime - min(MARGIN, lifetime // 2)
        return issued.value
