"""What a platform answered the first time, kept for those who ask again with the same code."""

from collections import OrderedDict
from typing import Generic, TypeVar

from core.kernel.clock import Instant

MAX_ENTRIES = 4096

T = TypeVar("T")


class FirstAnswerCache(Generic[T]):
    """Each answer is kept for `lifetime` milliseconds; beyond `MAX_ENTRIES` the oldest go first."""

    def __init__(self, lifetime: int) -> None:
        self._lifetime = lifetime
        self._kept: OrderedDict[str, tuple[Instant, T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str, now: Instant) -> T | None:
        kept = self._kept.get(key)
        return kept[1] if kept is not None and now < kept[0] else None

    def keep(self, key: str, answer: T, now: Instant) -> None:
        self._kept[key] = (now + self._lifetime, answer)
        while len(self._kept) > MAX_ENTRIES or self._oldest_ends() <= now:
            self._kept.popitem(last=False)

    def _oldest_ends(self) -> Instant:
        return next(iter(self._kept.values()))[0]
