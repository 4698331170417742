"""How much a session, an address and all together may ask for: points in a minute.

Each budget is a bucket that fills evenly (the generic cell rate algorithm, ITU-T I.371): of a
key only the moment is kept at which its bucket is full again, so that a request costs a
look-up and a comparison, no statement and no round trip. Several workers tell each other
what they took through Redis where it is configured (`shared_budgets.py`). What must not be
lost (tries of codes and passwords, messages sent) is counted in SQL, by `core.citizens.quotas`.

Answers carry `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11).
"""

import hashlib
import ipaddress
from collections.abc import Callable
from functools import lru_cache

from msgspec import Struct

from core.kernel.clock import HOUR, MINUTE, SECOND, Instant
from core.kernel.refusals import Text
from core.kernel.settings import Settings
from gateway.http.edge import BadRequest

MAX_KEYS = 100_000
EVERYBODY = b"all"

_EXHAUSTED = Text(
    "请求过于频繁，请在 {wait} 秒后重试。", "Too many requests: please try again in {wait} seconds."
)


class RateLimitStatus(Struct, frozen=True):
    """What a client is told beside its answer: of each budget what is left, and when it is full."""

    policies: str
    left: str


class Buckets:
    """One budget of many: `quota` points a minute for each key."""

    __slots__ = ("_tat", "header", "name", "point", "quota", "taken")

    def __init__(self, name: str, quota: int) -> None:
        self.name = name
        self.quota = max(1, quota)
        self.point = MINUTE / self.quota
        """Milliseconds in which a bucket gains a point."""
        self.header = f'"{name}";q={self.quota};w={MINUTE // SECOND}'
        self.taken: dict[bytes, float] | None = None
        """Milliseconds taken since the other workers were told; None where there are none."""
        self._tat: dict[bytes, float] = {}

    def debt(self, key: bytes, now: Instant) -> float:
        """Milliseconds until the bucket is full again.

        What lies further ahead than any operation costs was taken before a clock was set back:
        the bucket is full again, or it would be closed until then.
        """
        debt = self._tat.get(key, 0.0) - now
        return min(debt, MINUTE) if 0 < debt < HOUR else 0.0

    def debt_after(self, key: bytes, points: int, now: Instant) -> float:
        """What will be owed when the points are taken; raises where there is no room for them.

        A full bucket lets one operation pass that costs more than it holds.
        """
        debt = self._tat.get(key, 0.0) - now
        if not 0 < debt < HOUR:
            return points * self.point
        debt = min(debt, MINUTE)
        if debt + points * self.point > MINUTE:
            raise self.exhausted(debt, points)
        return debt + points * self.point

    def take(self, key: bytes, debt: float, points: int, now: Instant) -> None:
        """`debt` is what `debt_after` says."""
        self._tat[key] = now + debt
        if len(self._tat) > MAX_KEYS:
            self._forget(now)
        if self.taken is not None:
            self.taken[key] = self.taken.get(key, 0.0) + points * self.point

    def set(self, key: bytes, debt: float, now: Instant) -> None:
        self._tat[key] = now + debt
        if len(self._tat) > MAX_KEYS:
            self._forget(now)

    def clear(self) -> None:
        self._tat.clear()

    def shown(self, debt: float, wait: int | None = None) -> str:
        """`t` is when the bucket is full; of a refusal when to come again, as `Retry-After`."""
        left = max(0, int((MINUTE - debt) / self.point))
        return f'"{self.name}";r={left};t={-int(-debt // SECOND) if wait is None else wait}'

    def exhausted(self, debt: float, points: int) -> BadRequest:
        wait = min(debt, debt + points * self.point - MINUTE)
        seconds = max(1, -int(-wait // SECOND))
        return BadRequest(
            Text(_EXHAUSTED.zh.format(wait=seconds), _EXHAUSTED.en.format(wait=seconds)),
            429,
            "RATE_LIMITED",
            retry_after=seconds,
            headers={"RateLimit-Policy": self.header, "RateLimit": self.shown(debt, seconds)},
        )

    def __len__(self) -> int:
        return len(self._tat)

    def _forget(self, now: Instant) -> None:
        """Buckets that are full; of the others the older half where that frees too little."""
        kept = [(key, full_at) for key, full_at in self._tat.items() if full_at > now]
        self._tat = dict(kept[-MAX_KEYS // 2 :])


class Budgets:
    def __init__(self, settings: Settings, clock: Callable[[], Instant]) -> None:
        self.sessions = Buckets("session", settings.session_budget)
        self.addresses = Buckets("address", settings.address_budget)
        self.everybody = Buckets("all", settings.total_budget)
        self._clock = clock
        self._policies = f"{self.addresses.header}, {self.sessions.header}"

    def clear(self) -> None:
        for buckets in (self.sessions, self.addresses, self.everybody):
            buckets.clear()

    def must_have_room(self, address: str) -> None:
        """Before a request is read at all."""
        now = self._clock()
        for buckets, key in ((self.everybody, EVERYBODY), (self.addresses, network(address))):
            debt = buckets.debt(key, now)
            if debt >= MINUTE:
                raise buckets.exhausted(debt, 1)

    def charge(self, address: str, token: str | None, points: int) -> RateLimitStatus:
        """Takes the points from every budget, or from none and raises."""
        now, place = self._clock(), network(address)
        everybody, addresses, sessions = self.everybody, self.addresses, self.sessions
        owed_by_all = everybody.debt_after(EVERYBODY, points, now)
        owed_by_address = addresses.debt_after(place, points, now)
        left = addresses.shown(owed_by_address)
        if token is not None:
            digest = _digest(token)
            debt = sessions.debt_after(digest, points, now)
            left = f"{left}, {sessions.shown(debt)}"
            sessions.take(digest, debt, points, now)
        everybody.take(EVERYBODY, owed_by_all, points, now)
        addresses.take(place, owed_by_address, points, now)
        return RateLimitStatus(self._policies, left)


@lru_cache(maxsize=4096)
def network(address: str) -> bytes:
    """An IPv6 customer holds 2^64 addresses: they count as one."""
    if ":" not in address:
        return address.encode()
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False)).encode()
    except ValueError:
        return address.encode()


def _digest(token: str) -> bytes:
    """Tokens are secrets: only a digest is kept, and told to other workers."""
    return hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=12).digest()
