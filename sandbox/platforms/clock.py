"""The outside world has a clock of its own; the gateway's is passed in and never asked here."""

import time


def seconds() -> int:
    return int(time.time())


def milliseconds() -> int:
    return int(time.time() * 1000)
