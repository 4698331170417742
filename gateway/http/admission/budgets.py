"""Rate limiting: points per minute for a session, an address, and all clients together.

Each budget is a token bucket by the generic cell rate algorithm (GCRA, ITU-T I.371). Only the
theoretical arrival time (`tat`) of a key is stored, on a monotonic clock that nobody can set, so a
request costs one look-up and no I/O.
With Redis, workers share their consumption (`shared_budgets.py`). Limits that must survive a
restart (attempts of codes and passwords, messages) are counted in SQL by
`core.citizens.quotas`.

Responses carry `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11).
"""

import hashlib

from msgspec import Struct

from core.kernel.addresses import network_of
from core.kernel.clock import MINUTE, SECOND, Monotonic
from core.kernel.settings import Settings
from core.kernel.texts import Text
from gateway.http.edge import BadRequest

MAX_KEYS = 100_000
EVERYBODY = b"all"

_EXHAUSTED = Text(
    "请求过于频繁，请在 {wait} 秒后重试。", "Too many requests: please try again in {wait} seconds."
)


class RateLimitStatus(Struct, frozen=True):
    """Values of the `RateLimit-Policy` and `RateLimit` headers."""

    policies: str
    remaining: str


class RateLimiter:
    """A rate limiter: `quota` points per minute for each key."""

    __slots__ = ("_tat", "consumed", "header", "name", "point", "quota")

    def __init__(self, name: str, quota: int) -> None:
        self.name = name
        self.quota = max(1, quota)
        self.point = MINUTE / self.quota
        """Milliseconds in which a bucket regains one point."""
        self.header = f'"{name}";q={self.quota};w={MINUTE // SECOND}'
        self.consumed: dict[bytes, float] | None = None
        """Milliseconds consumed since the last exchange with other workers; None without Redis."""
        self._tat: dict[bytes, float] = {}

    def debt(self, key: bytes, now: int) -> float:
        """Milliseconds until the bucket is full again."""
        return min(max(0.0, self._tat.get(key, 0.0) - now), MINUTE)

    def debt_after(self, key: bytes, points: int, now: int) -> float:
        """The debt after consuming the points. Raises `BadRequest` if the budget is exhausted.

        A full bucket permits one operation even if it costs more than the quota.
        """
        debt = self._tat.get(key, 0.0) - now
        if debt <= 0:
            return points * self.point
        debt = min(debt, MINUTE)
        if debt + points * self.point > MINUTE:
            raise self.exhausted(debt, points)
        return debt + points * self.point

    def consume(self, key: bytes, debt: float, points: int, now: int) -> None:
        """Consumes points; `debt` is the result of `debt_after`."""
        self._tat[key] = now + debt
        if len(self._tat) > MAX_KEYS:
            self._evict(now)
        if self.consumed is not None:
            self.consumed[key] = self.consumed.get(key, 0.0) + points * self.point

    def set(self, key: bytes, debt: float, now: int) -> None:
        self._tat[key] = now + debt
        if len(self._tat) > MAX_KEYS:
            self._evict(now)

    def clear(self) -> None:
        self._tat.clear()

    def header_value(self, debt: float, wait: int | None = None) -> str:
        """`t` is the seconds until the bucket is full; in a refusal, those of `Retry-After`."""
        remaining = max(0, int((MINUTE - debt) / self.point))
        return f'"{self.name}";r={remaining};t={-int(-debt // SECOND) if wait is None else wait}'

    def exhausted(self, debt: float, points: int) -> BadRequest:
        wait = min(debt, debt + points * self.point - MINUTE)
        seconds = max(1, -int(-wait // SECOND))
        return BadRequest(
            Text(_EXHAUSTED.zh.format(wait=seconds), _EXHAUSTED.en.format(wait=seconds)),
            429,
            "RATE_LIMITED",
            retry_after=seconds,
            headers={
                "RateLimit-Policy": self.header,
                "RateLimit": self.header_value(debt, seconds),
            },
        )

    def __len__(self) -> int:
        return len(self._tat)

    def _evict(self, now: int) -> None:
        """Drops full limiter, and beyond half of `MAX_KEYS` the oldest of the others."""
        unexpired = [(key, tat) for key, tat in self._tat.items() if tat > now]
        self._tat = dict(unexpired[-MAX_KEYS // 2 :])


class Budgets:
    def __init__(self, settings: Settings, monotonic: Monotonic) -> None:
        self.sessions = RateLimiter("session", settings.session_budget)
        self.addresses = RateLimiter("address", settings.address_budget)
        self.everybody = RateLimiter("all", settings.total_budget)
        self._monotonic = monotonic
        self._policies = f"{self.addresses.header}, {self.sessions.header}"

    def clear(self) -> None:
        for limiter in (self.sessions, self.addresses, self.everybody):
            limiter.clear()

    def require_budget(self, address: str) -> None:
        """Raises `BadRequest` if a budget is exhausted; called before the request is read."""
        now = self._monotonic()
        for limiter, key in ((self.everybody, EVERYBODY), (self.addresses, network(address))):
            debt = limiter.debt(key, now)
            if debt >= MINUTE:
                raise limiter.exhausted(debt, 1)

    def charge(self, address: str, token: str | None, points: int) -> RateLimitStatus:
        """Consumes the points from every budget, or raises `BadRequest` and consumes none."""
        now, place = self._monotonic(), network(address)
        everybody, addresses, sessions = self.everybody, self.addresses, self.sessions
        debt_of_all = everybody.debt_after(EVERYBODY, points, now)
        debt_of_address = addresses.debt_after(place, points, now)
        remaining = addresses.header_value(debt_of_address)
        if token is not None:
            digest = _digest(token)
            debt = sessions.debt_after(digest, points, now)
            remaining = f"{remaining}, {sessions.header_value(debt)}"
            sessions.consume(digest, debt, points, now)
        everybody.consume(EVERYBODY, debt_of_all, points, now)
        addresses.consume(place, debt_of_address, points, now)
        return RateLimitStatus(self._policies, remaining)


def network(address: str) -> bytes:
    return network_of(address).encode()


def _digest(token: str) -> bytes:
    """Tokens are secrets: only a digest is stored and shared with other workers."""
    return hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=12).digest()
