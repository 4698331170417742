"""What a platform's answer, or the lack of one, means to its breaker."""

from core.kernel import breaker
from core.kernel.breaker import FAILURES_TO_OPEN, REST, CircuitOpen

__all__ = [
    "FAILURES_TO_OPEN",
    "REST",
    "Breaker",
    "CircuitOpen",
    "PlatformFailed",
    "PlatformRefused",
    "SafeToRetry",
]


class PlatformFailed(Exception):
    """The platform did not answer, or answered nothing that could be understood."""


class SafeToRetry(PlatformFailed):
    """It certainly did not act on the call: never connected, or it said that it was busy."""


class PlatformRefused(Exception):
    """The platform understood and said no, by its own `code`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Breaker(breaker.Breaker):
    failure = PlatformFailed
    answer = PlatformRefused
