"""The sandbox's clock: the system's, moved on by what `POST /sandbox/clock` has asked for.

How far is stored in a file that every process of the sandbox maps into its memory: all of them read
the new time at once, and reading it costs nothing. Gateway, platforms and partners go by it alike.
"""

import contextlib
import fcntl
import mmap
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from core.kernel.clock import DAY, SECOND, Instant

FURTHEST = 3_660 * DAY
"""How far it can be moved on in all: some ten years."""

_BYTES = 8
_MILLISECOND = timedelta(milliseconds=1)


class TooFar(ValueError):
    """The duration is not above zero, or it leads further than `FURTHEST`."""


def system_clock() -> Instant:
    return int(time.time() * SECOND)


class Clock:
    """Several processes may open the same file."""

    def __init__(self, path: Path, base: Callable[[], Instant] = system_clock) -> None:
        self._path = path
        self._base = base
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._alone() as file:
            if file.seek(0, 2) < _BYTES:
                file.truncate(_BYTES)
            self._moved = memoryview(mmap.mmap(file.fileno(), _BYTES)).cast("q")

    def __call__(self) -> Instant:
        return self._base() + self._moved[0]

    @property
    def moved(self) -> timedelta:
        """How far it is ahead of the system's."""
        return self._moved[0] * _MILLISECOND

    def advance(self, by: timedelta) -> None:
        """Raises `TooFar`; the clock then stays as it was."""
        with self._alone():
            moved = self._moved[0] + by // _MILLISECOND
            if by < _MILLISECOND or moved > FURTHEST:
                raise TooFar
            self._moved[0] = moved

    def return_to_now(self) -> None:
        with self._alone():
            self._moved[0] = 0

    @contextlib.contextmanager
    def _alone(self) -> Iterator[BinaryIO]:
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield file
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
