"""The circuit breaker of a platform, and the errors that it counts."""

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
    """No reply from the platform, or one that cannot be parsed."""


class SafeToRetry(PlatformFailed):
    """The platform certainly did not process the call: no connection, or a reply that it is busy."""


class PlatformRefused(Exception):
    """The platform processed the call and refused it; `code` is its error code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Breaker(breaker.Breaker):
    failure = PlatformFailed
    answer = PlatformRefused
