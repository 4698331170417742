"""Where pictures are processed: one worker process with bounded memory, apart from the server."""

import asyncio
import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

T = TypeVar("T")

_MEMORY_BYTES = 1_500_000_000
_TASKS_PER_WORKER = 200
_LONGEST_SECONDS = 20


class PictureTrouble(Exception):
    """The worker died or took too long over a picture."""


class Studio:
    """Starts its worker with the first picture, and another when one dies of a picture."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def process(self, work: Callable[..., T], *arguments: object) -> T:
        pool = self._pool = self._pool or _new_pool()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                return await loop.run_in_executor(pool, work, *arguments)
        except (BrokenProcessPool, TimeoutError, MemoryError) as error:
            self.close()
            raise PictureTrouble from error

    def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        workers = list((pool._processes or {}).values())  # noqa: SLF001 - the only way to end a hung worker
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()


def _new_pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_bound_memory,
        max_tasks_per_child=_TASKS_PER_WORKER,
    )


def _bound_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
