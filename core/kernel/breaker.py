"""Circuit breaker: stops calling an outside system that fails, and probes whether it has recovered."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from core.kernel.clock import SECOND

FAILURES_TO_OPEN = 5
REST = 15 * SECOND
"""Counted from the start of the failed call, so it must exceed the call timeout of five seconds."""


class CircuitOpen(Exception):
    """No calls before `until`, nor while a probe is running."""

    def __init__(self, until: int) -> None:
        super().__init__("circuit open")
        self.until = until


class Breaker:
    """Opens after consecutive failures; after `rest` milliseconds one probe decides whether it closes.

    Its times are those of a monotonic clock, in milliseconds.

    A subclass defines which exceptions are a `failure`, and which show that the system works
    (`answer`).
    """

    failure: ClassVar[type[Exception]]
    answer: ClassVar[type[Exception]]

    def __init__(self, failures_to_open: int = FAILURES_TO_OPEN, rest: int = REST) -> None:
        self._failures_to_open = failures_to_open
        self._rest = rest
        self._failures = 0
        self._open_until: int | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        return self._open_until is not None

    def check(self, now: int) -> None:
        """Raises `CircuitOpen` if `passage` would."""
        if self._open_until is not None and (self._probing or now < self._open_until):
            raise CircuitOpen(self._open_until)

    @contextmanager
    def passage(self, now: int) -> Iterator[None]:
        """Wraps one call. Raises `CircuitOpen`. A cancelled call does not count."""
        probe = self._admit(now)
        try:
            yield
        except self.answer:
            self._count_answer(probe)
            raise
        except self.failure:
            self._count_failure(now, probe)
            raise
        else:
            self._count_answer(probe)
        finally:
            if probe:
                self._probing = False

    def _admit(self, now: int) -> bool:
        """Returns whether the call is the probe."""
        self.check(now)
        self._probing = self._open_until is not None
        return self._probing

    def _count_failure(self, now: int, probe: bool) -> None:
        self._failures += 1
        if probe or (self._open_until is None and self._failures >= self._failures_to_open):
            self._open_until = now + self._rest

    def _count_answer(self, probe: bool) -> None:
        if self._open_until is not None and not probe:
            return
        self._failures = 0
        self._open_until = None
