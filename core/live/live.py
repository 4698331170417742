"""Subscriptions to production progress in this process, and when each must read again.

A wake-up says that something changed, never what; the subscriber reads its current progress. It
comes from this process, or from another one by the relay. One poll for all watchers of the process
ends those whose session has ended and finds changes without a wake-up: the exception with a
connected relay, the rule without one.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator

import structlog

from core.citizens import sessions
from core.db import Database, DatabaseUnavailable
from core.kernel.background import BackgroundTask
from core.kernel.clock import Instant
from core.live.relay import PostgresRelay
from core.production import ProductionSnapshot, snapshots

POLL_SECONDS = 0.35
"""Upper bound of the delay after which a session's end or another process's change is noticed."""
POLLS_PER_RELAYED_CHECK = 15
"""With a connected relay, only every fifteenth poll compares the production snapshots."""
MAX_WATCHERS_PER_SESSION = 10

log = structlog.get_logger("live")


class Watcher:
    def __init__(self, citizen_id: int, session_id: int) -> None:
        self.citizen_id = citizen_id
        self.session_id = session_id
        self.seen: ProductionSnapshot | None = None
        self._changed = asyncio.Event()
        self._ended = False
        self.wake()

    async def changed(self) -> bool:
        """Returns when there may be something new to read; False once the session has ended."""
        await self._changed.wait()
        self._changed.clear()
        return not self._ended

    def wake(self) -> None:
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()


class Live:
    def __init__(
        self, database: Database, clock: Callable[[], Instant], relay: PostgresRelay | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._relay = relay
        self._watchers: dict[int, dict[Watcher, None]] = defaultdict(dict)
        self._poller = BackgroundTask(self._poll_forever, "live-poll")

    def start(self) -> None:
        if self._relay is not None:
            self._relay.start(self._wake_citizens, self._wake_all)
        self._poller.start()

    async def stop(self) -> None:
        for watcher in self._all_watchers():
            watcher.end()
        await self._poller.stop()
        if self._relay is not None:
            await self._relay.stop()

    @property
    def watching(self) -> int:
        return sum(map(len, self._watchers.values()))

    def publish(self, citizen_id: int) -> None:
        """Call it after the commit of a change to this citizen's production progress."""
        self._wake(citizen_id)
        if self._relay is not None:
            self._relay.publish(citizen_id)

    @contextlib.contextmanager
    def watch(self, citizen_id: int, session_id: int) -> Iterator[Watcher]:
        """Above `MAX_WATCHERS_PER_SESSION` the session's oldest watcher ends."""
        watcher = Watcher(citizen_id, session_id)
        watchers = self._watchers[citizen_id]
        own = [older for older in watchers if older.session_id == session_id]
        if len(own) >= MAX_WATCHERS_PER_SESSION:
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

    def _wake_citizens(self, citizen_ids: Collection[int]) -> None:
        for citizen_id in citizen_ids:
            self._wake(citizen_id)

    def _wake_all(self) -> None:
        for watcher in self._all_watchers():
            watcher.wake()

    def _all_watchers(self) -> list[Watcher]:
        return [watcher for watchers in self._watchers.values() for watcher in watchers]

    async def _poll_forever(self) -> None:
        polls = 0
        while True:
            await asyncio.sleep(POLL_SECONDS)
            polls += 1
            try:
                await self._end_closed_sessions()
                relayed = self._relay is not None and self._relay.connected
                if not relayed or polls % POLLS_PER_RELAYED_CHECK == 0:
                    await self._wake_outdated()
            except DatabaseUnavailable as error:
                log.warning("live.unavailable", reason=type(error).__name__)
            except Exception:
                log.exception("live.failed")

    async def _end_closed_sessions(self) -> None:
        watchers = self._all_watchers()
        if not watchers:
            return
        citizens = {watcher.citizen_id for watcher in watchers}
        still_open = await sessions.open_among(self._database, citizens, self._clock())
        for watcher in watchers:
            if (watcher.citizen_id, watcher.session_id) not in still_open:
                watcher.end()

    async def _wake_outdated(self) -> None:
        watchers = self._all_watchers()
        if not watchers:
            return
        current = await snapshots(self._database, {watcher.citizen_id for watcher in watchers})
        for watcher in watchers:
            if watcher.seen != current.get(watcher.citizen_id):
                watcher.wake()
