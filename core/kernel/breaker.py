"""Stops asking an outside system that has stopped answering, and finds out when it is back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from core.kernel.clock import SECOND, Instant

FAILURES_TO_OPEN = 5
REST = 15 * SECOND
"""From the start of the call that failed, so longer than the five seconds a call may take."""


class CircuitOpen(Exception):
    """The system is left alone until `until`, or until a probe under way has come back."""

    def __init__(self, until: Instant) -> None:
        super().__init__("circuit open")
        self.until = until


class Breaker:
    """Opens after consecutive failures; after a rest, one probe decides whether it closes.

    A subclass says which exceptions are a `failure`, and which are an `answer` all the same.
    """

    failure: ClassVar[type[Exception]]
    answer: ClassVar[type[Exception]]

    def __init__(self, failures_to_open: int = FAILURES_TO_OPEN, rest: int = REST) -> None:
        self._failures_to_open = failures_to_open
        self._rest = rest
        self._failures = 0
        self._open_until: Instant | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        return self._open_until is not None

    def check(self, now: Instant) -> None:
        """Raises `CircuitOpen` where `passage` would."""
        if self._open_until is not None and (self._probing or now < self._open_until):
            raise CircuitOpen(self._open_until)

    @contextmanager
    def passage(self, now: Instant) -> Iterator[None]:
        """One call. Raises `CircuitOpen`.

        A call that is cancelled says nothing about the system.
        """
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

    def _admit(self, now: Instant) -> bool:
        """Whether the admitted call is the probe."""
        self.check(now)
        self._probing = self._open_until is not None
        return self._probing

    def _count_failure(self, now: Instant, probe: bool) -> None:
        self._failures += 1
        if probe or (self._open_until is None and self._failures >= self._failures_to_open):
            self._open_until = now + self._rest

    def _count_answer(self, probe: bool) -> None:
        if self._open_until is not None and not probe:
            return
        self._failures = 0
        self._open_until = None
