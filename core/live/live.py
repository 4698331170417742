"""Who is watching whose card being made, and when to look again.

A wake-up says only that something moved; the watcher reads what. It comes from this process,
or by a relay from another one. A sweep looks after all watchers of the process together: it
ends those whose session has ended, and finds what no wake-up told of. With a relay that is
the rare loss of a connection; without one it is how other processes are followed.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

import structlog

from core.citizens import sessions
from core.db import Database, DatabaseUnavailable
from core.kernel.clock import Instant
from core.production import ProductionSnapshot, snapshots

SWEEP_SECONDS = 0.35
"""Two reads for all watchers together; a session's end and another process's change wait for it."""
SWEEPS_BESIDE_A_RELAY = 15
MAX_OF_A_SESSION = 10

log = structlog.get_logger("live")


class Relay(Protocol):
    """Carries wake-ups between processes."""

    connected: bool

    def start(self, wake: Callable[[Collection[int]], None], wake_all: Callable[[], None]) -> None:
        """`wake_all` is for the moment when a lost connection is back."""

    def publish(self, citizen_id: int) -> None:
        """Returns at once; several wake-ups may travel together."""

    async def stop(self) -> None: ...


class Watcher:
    def __init__(self, citizen_id: int, session_id: int) -> None:
        self.citizen_id = citizen_id
        self.session_id = session_id
        self.seen: ProductionSnapshot | None = None
        self._moved = asyncio.Event()
        self._ended = False
        self.wake()

    async def moved(self) -> bool:
        """Returns when there may be something to see; False once the session has ended."""
        await self._moved.wait()
        self._moved.clear()
        return not self._ended

    def wake(self) -> None:
        self._moved.set()

    def end(self) -> None:
        self._ended = True
        self._moved.set()


class Live:
    def __init__(
        self, database: Database, clock: Callable[[], Instant], relay: Relay | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._relay = relay
        self._watchers: dict[int, dict[Watcher, None]] = defaultdict(dict)
        self._sweeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._relay is not None:
            self._relay.start(self._wake_each, self._wake_all)
        self._sweeper = asyncio.create_task(self._sweep_always(), name="live-sweep")

    async def stop(self) -> None:
        for watcher in self._everyone():
            watcher.end()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
        if self._relay is not None:
            await self._relay.stop()

    @property
    def watching(self) -> int:
        return sum(map(len, self._watchers.values()))

    def publish(self, citizen_id: int) -> None:
        """Something of this person's moved, and is committed."""
        self._wake(citizen_id)
        if self._relay is not None:
            self._relay.publish(citizen_id)

    @contextlib.contextmanager
    def watch(self, citizen_id: int, session_id: int) -> Iterator[Watcher]:
        """A session that watches too often loses its oldest watcher: nobody may be left there."""
        watcher = Watcher(citizen_id, session_id)
        watchers = self._watchers[citizen_id]
        own = [older for older in watchers if older.session_id == session_id]
        if len(own) >= MAX_OF_A_SESSION:
            own[0].end()
            del watchers[own[0]]
        watchers[watcher] = None
        try:
            yield watcher
        finally:
            self._watchers[citizen_id].pop(watcher, None)
            if not self._watchers[citizen_id]:
                del self._watchers[citizen_id]

    def _wake(self, citizen_id: int) -> None:
        for watcher in self._watchers.get(citizen_id, ()):
            watcher.wake()

    def _wake_each(self, citizen_ids: Collection[int]) -> None:
        for citizen_id in citizen_ids:
            self._wake(citizen_id)

    def _wake_all(self) -> None:
        for watcher in self._everyone():
            watcher.wake()

    def _everyone(self) -> list[Watcher]:
        return [watcher for watchers in self._watchers.values() for watcher in watchers]

    async def _sweep_always(self) -> None:
        sweeps = 0
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            sweeps += 1
            try:
                await self._end_closed_sessions()
                relayed = self._relay is not None and self._relay.connected
                if not relayed or sweeps % SWEEPS_BESIDE_A_RELAY == 0:
                    await self._wake_those_behind()
            except DatabaseUnavailable as error:
                log.warning("live.unavailable", reason=type(error).__name__)
            except Exception:
                log.exception("live.failed")

    async def _end_closed_sessions(self) -> None:
        everyone = self._everyone()
        if not everyone:
            return
        ids = {watcher.session_id for watcher in everyone}
        still_open = await sessions.open_among(self._database, ids, self._clock())
        for watcher in everyone:
            if watcher.session_id not in still_open:
                watcher.end()

    async def _wake_those_behind(self) -> None:
        everyone = self._everyone()
        if not everyone:
            return
        now_at = await snapshots(self._database, {watcher.citizen_id for watcher in everyone})
        for watcher in everyone:
            if watcher.seen != now_at.get(watcher.citizen_id):
                watcher.wake()
