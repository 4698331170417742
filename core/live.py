"""Who is watching whose card being made: wake-ups within this process.

A wake-up says only that something moved; the watcher reads what. Watchers also look every
few seconds by themselves, because another process may have moved it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Live:
    def __init__(self) -> None:
        self._watchers: dict[int, set[asyncio.Event]] = defaultdict(set)

    def publish(self, citizen_id: int) -> None:
        for watcher in self._watchers.get(citizen_id, ()):
            watcher.set()

    @contextmanager
    def watch(self, citizen_id: int) -> Iterator[asyncio.Event]:
        """An event that is set whenever something moved; the watcher clears it."""
        moved = asyncio.Event()
        self._watchers[citizen_id].add(moved)
        try:
            yield moved
        finally:
            self._watchers[citizen_id].discard(moved)
            if not self._watchers[citizen_id]:
                del self._watchers[citizen_id]
