"""What both relays share: wake-ups that wait are sent together, and a lost connection is renewed."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection

import structlog

RETRY_SECONDS = 1.0
MAX_IN_A_MESSAGE = 300
"""PostgreSQL takes fewer than 8,000 bytes in a notification; an id has at most 19 digits."""

log = structlog.get_logger("live")


class PumpingRelay(ABC):
    def __init__(self) -> None:
        self.connected = False
        self._waiting: set[int] = set()
        self._something = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._wake: Callable[[Collection[int]], None] = lambda _: None
        self._wake_all: Callable[[], None] = lambda: None

    def start(self, wake: Callable[[Collection[int]], None], wake_all: Callable[[], None]) -> None:
        self._wake, self._wake_all = wake, wake_all
        self._task = asyncio.create_task(self._run(), name="live-relay")

    def publish(self, citizen_id: int) -> None:
        self._waiting.add(citizen_id)
        self._something.set()

    async def stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    @abstractmethod
    async def _connect_and_pump(self) -> None:
        """Listens and sends until the connection is lost. Raises whatever the driver raises then."""

    async def _run(self) -> None:
        while True:
            try:
                await self._connect_and_pump()
            except Exception as error:
                # Wake-ups may be lost; the sweep finds what they would have told.
                log.warning("live.relay_lost", reason=type(error).__name__)
            finally:
                self.connected = False
            await asyncio.sleep(RETRY_SECONDS)

    def _is_connected(self) -> None:
        """What was said while nobody listened is not said again."""
        self.connected = True
        self._wake_all()

    def _heard(self, message: str) -> None:
        """From another process, or from anybody who may write to the same server."""
        self._wake([int(part) for part in message.split(",") if part.isascii() and part.isdigit()])

    async def _next_message(self, patience: float) -> str | None:
        """What is to be sent; None when nothing was for that many seconds."""
        if not self._waiting:
            self._something.clear()
            try:
                async with asyncio.timeout(patience):
                    await self._something.wait()
            except TimeoutError:
                return None
        some = [self._waiting.pop() for _ in range(min(len(self._waiting), MAX_IN_A_MESSAGE))]
        return ",".join(map(str, some))
