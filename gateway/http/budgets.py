"""How much a session, an address and all together may ask for: points in a minute.

Each budget is a bucket that fills evenly (the generic cell rate algorithm, ITU-T I.371): of a
key only the moment is kept at which its bucket is full again, so that a request costs a
look-up and a comparison, no statement and no round trip. Several workers tell each other
what they took through Redis where it is configured (`shared_budgets.py`). What must not be
lost (tries of codes and passwords, messages sent) is counted in SQL, by `core.quotas`.

Answers carry `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
"""

import hashlib
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from core.clock import MINUTE, SECOND, Instant
from core.errors import Text
from core.settings import Settings
from gateway.http.bad_requests import BadRequest

Key: TypeAlias = tuple[str, str]
"""Which budget, and whose."""

MOST_KEYS = 100_000
EVERYBODY = "all"

_EXHAUSTED = Text(
    "请求过于频繁，请在 {wait} 秒后重试。", "Too many requests: please try again in {wait} seconds."
)


@dataclass(frozen=True, slots=True)
class Policy:
    """`quota` points within `window` milliseconds."""

    name: str
    quota: int
    window: int = MINUTE

    @property
    def header(self) -> str:
        return f'"{self.name}";q={self.quota};w={self.window // SECOND}'

    def left(self, owed: float) -> int:
        """Points, when the bucket is full again in `owed` milliseconds."""
        return max(0, int((self.window - owed) * self.quota / self.window))

    def duration(self, points: int) -> float:
        """Milliseconds in which a bucket gains so many points."""
        return points * self.window / self.quota


@dataclass(frozen=True, slots=True)
class Standing:
    """What a client is told beside its answer: of each budget what is left, and when it is full."""

    policies: str
    left: str


class Budgets:
    def __init__(self, settings: Settings, clock: Callable[[], Instant]) -> None:
        self._session = Policy("session", settings.session_budget)
        self._address = Policy("address", settings.address_budget)
        self._all = Policy("all", settings.total_budget)
        self._policies = f"{self._session.header}, {self._address.header}"
        self._clock = clock
        self._full_at: dict[Key, float] = {}
        self.taken: dict[Key, float] | None = None
        """What was taken since the other workers were told, in milliseconds; None without any."""

    def must_have_room(self, address: str) -> None:
        """Before a request is read at all."""
        now = self._clock()
        for policy, whose in ((self._all, EVERYBODY), (self._address, network(address))):
            owed = self._owed(policy, whose, now)
            if owed >= policy.window:
                raise self._exhausted(policy, owed, 1)

    def charge(self, address: str, token: str | None, points: int) -> Standing:
        """Takes the points from every budget, or from none and raises."""
        now = self._clock()
        from_whom = [(self._address, network(address)), (self._all, EVERYBODY)]
        if token is not None:
            from_whom.append((self._session, _mark(token)))
        owed = [self._owed(policy, whose, now) for policy, whose in from_whom]
        for (policy, _), before in zip(from_whom, owed, strict=True):
            if before > 0 and before + policy.duration(points) > policy.window:
                raise self._exhausted(policy, before, points)
        after = [
            self._take(policy, whose, before, points, now)
            for (policy, whose), before in zip(from_whom, owed, strict=True)
        ]
        shown = [(policy, end) for (policy, _), end in zip(from_whom, after, strict=True)]
        left = ", ".join(_shown(policy, end) for policy, end in shown if policy is not self._all)
        return Standing(self._policies, left)

    def owed(self, key: Key, now: Instant) -> float:
        return max(0.0, self._full_at.get(key, 0.0) - now)

    def correct(self, key: Key, owed: float, now: Instant) -> None:
        """Takes over what all workers together have taken."""
        self._full_at[key] = now + owed

    def _owed(self, policy: Policy, whose: str, now: Instant) -> float:
        full_at = self._full_at.get((policy.name, whose), 0.0)
        # A clock that was set back must not close a bucket for longer than its window.
        return min(full_at - now, policy.window) if full_at > now else 0.0

    def _take(self, policy: Policy, whose: str, before: float, points: int, now: Instant) -> float:
        key, took = (policy.name, whose), policy.duration(points)
        if key not in self._full_at and len(self._full_at) >= MOST_KEYS:
            self._forget(now)
        self._full_at[key] = now + before + took
        if self.taken is not None:
            self.taken[key] = self.taken.get(key, 0.0) + took
        return before + took

    def _forget(self, now: Instant) -> None:
        """Buckets that are full; of the others the older half where that frees too little."""
        kept = [(key, full_at) for key, full_at in self._full_at.items() if full_at > now]
        self._full_at = dict(kept[-MOST_KEYS // 2 :])

    def _exhausted(self, policy: Policy, owed: float, points: int) -> BadRequest:
        wait = min(owed, owed + policy.duration(points) - policy.window)
        seconds = max(1, -int(-wait // SECOND))
        return BadRequest(
            Text(_EXHAUSTED.zh.format(wait=seconds), _EXHAUSTED.en.format(wait=seconds)),
            429,
            "RATE_LIMITED",
            retry_after=seconds,
            headers={"RateLimit-Policy": policy.header, "RateLimit": _shown(policy, owed)},
        )


def _shown(policy: Policy, owed: float) -> str:
    return f'"{policy.name}";r={policy.left(owed)};t={-int(-owed // SECOND)}'


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """An IPv6 customer holds 2^64 addresses: they count as one."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address


def _mark(token: str) -> str:
    """Tokens are secrets: only a digest is kept, and told to other workers."""
    return hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
