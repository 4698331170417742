"""Memory that was freed, and that the C library keeps to hand it out again."""

import contextlib
import ctypes


def give_back() -> None:
    """To the system: malloc_trim(3). Taking it anew costs much, so only before a rest or where
    far more will be needed."""
    with contextlib.suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
