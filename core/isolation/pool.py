"""A pool of worker processes in which hostile files are decoded.

    result = await pool.run(process_portrait, data, 14_336, 40_960)

The function must be public, importable and have type hints: arguments and result cross a socket
as msgpack and are validated against the hints, so that a compromised worker can return nothing
but a wrong value of the right type. A worker that crashes, hangs or runs out of memory is killed
and replaced. Workers start with the first file, exit when idle, and inherit no secrets.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from core.isolation.worker import MEGABYTE, Worker, WorkerFailed

T = TypeVar("T")


class ProcessingFailed(Exception):
    """The worker crashed, timed out or ran out of memory."""


class PoolBusy(Exception):
    """The queue is full."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`memory_bytes` per worker; `seconds` per file, including the worker's start."""

    workers: int = 2
    memory_bytes: int = 768 * MEGABYTE
    seconds: int = 20
    waiting: int = 32
    files_per_worker: int = 500
    idle_seconds: float = 120


class IsolatedPool:
    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._turn = asyncio.Semaphore(self._bounds.workers)
        self._waiting = 0
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Raises `ProcessingFailed` or `PoolBusy`."""
        if self._waiting >= self._bounds.waiting:
            raise PoolBusy
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._answer(function, arguments)
        finally:
            self._turn.release()

    def close(self) -> None:
        for worker in self._busy:
            worker.kill()
        for worker in self._idle:
            worker.end()
        self._idle.clear()

    async def _answer(self, function: Callable[..., T], arguments: tuple[object, ...]) -> T:
        worker = self._idle.pop() if self._idle else Worker()
        self._busy.add(worker)
        try:
            async with asyncio.timeout(self._bounds.seconds):
                if not worker.is_alive:
                    await worker.start(self._bounds.memory_bytes, self._bounds.seconds)
                answer = await worker.answer(function, *arguments)
        except (WorkerFailed, OSError, TimeoutError) as error:
            # Not at module level: worker processes import this package too, and it takes 7 MB in each.
            import structlog

            structlog.get_logger("isolation").warning(
                "worker ended over a file",
                function=function.__name__,
                reason=str(error) or type(error).__name__,
            )
            raise ProcessingFailed from error
        else:
            self._rest(worker)
            return answer
        finally:
            self._busy.discard(worker)
            if worker not in self._idle:
                await asyncio.to_thread(worker.end)

    def _rest(self, worker: Worker) -> None:
        if worker.files >= self._bounds.files_per_worker:
            return
        self._idle.append(worker)
        loop = asyncio.get_running_loop()
        loop.call_later(self._bounds.idle_seconds, self._retire, worker, worker.files)

    def _retire(self, worker: Worker, files: int) -> None:
        if worker in self._idle and worker.files == files:
            self._idle.remove(worker)
            asyncio.get_running_loop().run_in_executor(None, worker.end)
