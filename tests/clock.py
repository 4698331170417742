"""A clock that stands still until a test moves it."""

from core.kernel.clock import Instant

START = 1_800_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now: Instant = START

    def __call__(self) -> Instant:
        return self.now
