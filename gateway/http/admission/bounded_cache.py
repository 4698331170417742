"""A cache of what clients send, bounded by weight, which no single client can fill."""

from collections import Counter, OrderedDict
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")

SHARE = 4
"""One owner may fill this part of a cache: a quarter."""


class _Entry(NamedTuple, Generic[V]):
    value: V
    weight: int
    owner: bytes


class BoundedCache(Generic[K, V]):
    """Keeps the entries that were used last, up to a total weight, for example in bytes.

    Each entry has an owner, the network that brought it. An owner that has filled its share
    displaces its own entries only, so that the others' stay.
    """

    def __init__(self, max_weight: int) -> None:
        self.weight = 0
        self._max_weight = max_weight
        self._max_owned = max_weight // SHARE
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._owned: Counter[bytes] = Counter()

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry.value

    def put(self, key: K, value: V, weight: int, owner: bytes) -> None:
        """What is heavier than an owner's share is not kept. A new value of a key that is kept
        leaves it with its owner."""
        kept = self._entries.get(key)
        if kept is not None:
            self._entries[key] = kept._replace(value=value)
            self._entries.move_to_end(key)
            return
        if weight > self._max_owned:
            return
        while self._owned[owner] + weight > self._max_owned:
            self._remove(self._oldest_of(owner))
        while self.weight + weight > self._max_weight:
            self._remove(next(iter(self._entries)))
        self._entries[key] = _Entry(value, weight, owner)
        self._owned[owner] += weight
        self.weight += weight

    def __len__(self) -> int:
        return len(self._entries)

    def _oldest_of(self, owner: bytes) -> K:
        return next(key for key, entry in self._entries.items() if entry.owner == owner)

    def _remove(self, key: K) -> None:
        _, weight, owner = self._entries.pop(key)
        self.weight -= weight
        self._owned[owner] -= weight
        if not self._owned[owner]:
            del self._owned[owner]
