"""The system clock. The sandbox never uses the clock of the gateway, as the real platforms."""

import time


def seconds() -> int:
    return int(time.time())


def milliseconds() -> int:
    return int(time.time() * 1000)
