"""The worker: claims due messages subject by subject, and has each delivered in a task of its own.

Whoever commits a message in this process wakes the worker with its subject. All other messages that
are due are found in the backlog, which is read at intervals, and as soon as a delivery ends while
there may be more. Each kind has its own limit of deliveries at a time, so that a slow partner delays
no other's messages, and nothing delays verification codes.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from core.db import Database, DatabaseUnavailable, Transaction
from core.kernel.background import BackgroundTask
from core.kernel.callers import ChannelId
from core.kernel.clock import Instant
from core.messaging import outbox
from core.messaging.backlog import Backlog
from core.messaging.channel_messages import Messenger
from core.messaging.delivery import Delivery
from core.messaging.outbox import MessageKind, OutboxMessage
from core.unit_of_work import Dependencies

CONCURRENCY = 16
"""Concurrent deliveries per kind, in each worker."""

_DRAIN_SECONDS = 2.0
_DRAIN_POLLS = 200
_SECONDS_TO_FINISH = 2.0
SECONDS_TO_ANSWER = 2.0
"""How long a caller waits for a partner before it is told that the message is being sent."""

log = structlog.get_logger("delivery")


@dataclass(slots=True)
class _Lane:
    """The deliveries of a kind. `subjects` have a due message; `has_more`: so may others."""

    tasks: set[asyncio.Task[bool]] = field(default_factory=set)
    subjects: list[int] = field(default_factory=list)
    has_more: bool = False

    @property
    def room(self) -> int:
        """For how many more there is room before the subjects have had their turn."""
        return 0 if self.subjects else CONCURRENCY - len(self.tasks)

    def take(self) -> list[int]:
        """The next subjects, as many as there is room for."""
        room = CONCURRENCY - len(self.tasks)
        taken, self.subjects = self.subjects[:room], self.subjects[room:]
        return taken


class OutboxWorker:
    """`publish` is called for each citizen whose production progress changed. The backlog is read
    every `poll_seconds`."""

    def __init__(
        self,
        database: Database,
        dependencies: Dependencies,
        messengers: Mapping[ChannelId, Messenger],
        clock: Callable[[], Instant],
        publish: Callable[[int], None] = lambda _: None,
        poll_seconds: float = 1.0,
    ) -> None:
        self._database = database
        self._vault = dependencies.vault
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._delivery = Delivery(database, dependencies, messengers, clock, publish, self.wake)
        self._backlog = Backlog()
        self._lanes = {kind: _Lane() for kind in MessageKind}
        self._woken: set[int] = set()
        self._wake = asyncio.Event()
        self._is_running = self._is_stopped = False
        self._task = BackgroundTask(self._run, "outbox-worker")

    def start(self) -> None:
        self._is_running = True
        self._task.start()

    def wake(self, subject_id: int) -> None:
        """Call it after the commit of a message to this subject."""
        if self._is_running:
            self._woken.add(subject_id)
            self._wake.set()

    async def deliver_held(self, message: OutboxMessage) -> bool:
        """Delivers a message that its unit of work has claimed; whether the partner rejected it.

        False as well while that is not known after `SECONDS_TO_ANSWER`; the delivery then goes on. Once
        the worker has stopped, another one repeats it when the claim ends.
        """
        if self._is_stopped:
            return False
        task = self._begin(message)
        await asyncio.wait([task], timeout=SECONDS_TO_ANSWER)
        return task.done() and task.result()

    async def stop(self) -> None:
        """Waits up to two seconds for running deliveries; another worker repeats the others."""
        self._is_running, self._is_stopped = False, True
        await self._task.stop()
        tasks = [task for lane in self._lanes.values() for task in lane.tasks]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_SECONDS_TO_FINISH)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def deliver_due(self) -> int:
        """Delivers everything that is due now; returns the number of attempts."""
        tried, backlog = 0, Backlog()
        while True:
            found = await backlog.find(self._database, self._clock(), list(MessageKind))
            claims = [
                self._claim(subject_id, [kind])
                for kind, of_kind in found.items()
                for subject_id in of_kind.subjects[:CONCURRENCY]
            ]
            if not claims and all(of_kind.are_all for of_kind in found.values()):
                return tried
            messages = [message for claimed in await asyncio.gather(*claims) for message in claimed]
            await asyncio.gather(*(self._delivery.deliver(message) for message in messages))
            tried += len(messages)
            if messages:
                backlog = Backlog()

    async def drained(self) -> None:
        """Waits until no message awaits its first attempt, at most two seconds."""
        for _ in range(_DRAIN_POLLS):
            if not await self._database.fetch(outbox.ANY_NEW):
                return
            await asyncio.sleep(_DRAIN_SECONDS / _DRAIN_POLLS)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        read_at = loop.time()
        while True:
            self._wake.clear()
            if loop.time() >= read_at:
                read_at = loop.time() + self._poll_seconds
                for lane in self._lanes.values():
                    lane.has_more = True
            try:
                # First those who found no room earlier, and at the end those who found none now.
                await self._take_backlog()
                await self._take_woken()
                await self._take_backlog()
            except DatabaseUnavailable as error:
                log.warning("outbox.unavailable", reason=type(error).__name__)
            except Exception:
                log.exception("outbox.failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(read_at):
                    await self._wake.wait()

    async def _take_woken(self) -> None:
        """Those for whom there is no room are found in the backlog. Where there is little, many are
        found faster than claimed a few at a time."""
        woken, self._woken = list(self._woken), set()
        while woken:
            least = min(len(woken), CONCURRENCY // 2)
            rooms = {kind: lane.room for kind, lane in self._lanes.items() if lane.room >= least}
            for kind in self._lanes.keys() - rooms.keys():
                self._lanes[kind].has_more = True
            if not rooms:
                return
            most = min(rooms.values())
            await self._start_all(woken[:most], list(rooms))
            woken = woken[most:]

    async def _take_backlog(self) -> None:
        await self._find(
            [kind for kind, lane in self._lanes.items() if lane.room and lane.has_more]
        )
        for kind, lane in self._lanes.items():
            while subjects := lane.take():
                await self._start_all(subjects, [kind])

    async def _find(self, kinds: Collection[MessageKind]) -> None:
        """Whoever finds nobody looks again at the next interval only."""
        if not kinds:
            return
        found = await self._backlog.find(self._database, self._clock(), kinds)
        for kind, of_kind in found.items():
            lane = self._lanes[kind]
            lane.subjects = of_kind.subjects
            lane.has_more = bool(of_kind.subjects) and not of_kind.are_all

    async def _start_all(self, subjects: Collection[int], kinds: Collection[MessageKind]) -> None:
        """Raises what one of them raised, once all have been tried: each may take room."""
        starts = (self._start(subject_id, kinds) for subject_id in subjects)
        for error in await asyncio.gather(*starts, return_exceptions=True):
            if error is not None:
                raise error

    async def _start(self, subject_id: int, kinds: Collection[MessageKind]) -> None:
        for message in await self._claim(subject_id, kinds):
            self._begin(message)

    def _begin(self, message: OutboxMessage) -> asyncio.Task[bool]:
        task = asyncio.create_task(self._deliver_task(message))
        self._lanes[message.kind].tasks.add(task)
        task.add_done_callback(partial(self._delivered, message))
        return task

    def _delivered(self, message: OutboxMessage, task: asyncio.Task[bool]) -> None:
        """Makes room, and looks for the subject's next message."""
        self._lanes[message.kind].tasks.discard(task)
        self.wake(message.subject_id)

    async def _deliver_task(self, message: OutboxMessage) -> bool:
        try:
            return await self._delivery.deliver(message)
        except DatabaseUnavailable as error:
            log.warning("outbox.unavailable", reason=type(error).__name__)
        except Exception:
            log.exception("outbox.failed", message=message.id, kind=message.kind.value)
        return False

    async def _claim(self, subject_id: int, kinds: Collection[MessageKind]) -> list[OutboxMessage]:
        now, vault = self._clock(), self._vault

        async def job(db: Transaction) -> list[OutboxMessage]:
            return await outbox.claim(db, vault, subject_id, kinds, now)

        return await self._database.write(job)
