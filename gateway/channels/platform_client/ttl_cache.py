"""A small in-memory cache whose entries expire."""

from collections import OrderedDict
from typing import Generic, TypeVar

from core.kernel.clock import Monotonic, monotonic_clock

MAX_ENTRIES = 4096

T = TypeVar("T")


class TtlCache(Generic[T]):
    """Entries live for `lifetime` milliseconds; beyond `MAX_ENTRIES` the oldest are evicted."""

    def __init__(self, lifetime: int, monotonic: Monotonic = monotonic_clock) -> None:
        self._lifetime = lifetime
        self._monotonic = monotonic
        self._entries: OrderedDict[str, tuple[int, T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> T | None:
        entry = self._entries.get(key)
        return entry[1] if entry is not None and self._monotonic() < entry[0] else None

    def put(self, key: str, value: T) -> None:
        now = self._monotonic()
        self._entries[key] = (now + self._lifetime, value)
        while len(self._entries) > MAX_ENTRIES or self._oldest_expiry() <= now:
            self._entries.popitem(last=False)

    def _oldest_expiry(self) -> int:
        return next(iter(self._entries.values()))[0]
