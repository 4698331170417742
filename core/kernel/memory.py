"""Memory that was freed, and that the C library keeps to hand it out again."""

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_no_large_blocks() -> None:
    """Blocks of a megabyte and more go back to the system when they are freed: mallopt(3).

    By itself glibc keeps them, in each thread apart, once the first was freed: a hash of Argon2id
    takes 19 MB.
    """
    with contextlib.suppress(OSError, AttributeError):  # Another C library has its own ways.
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 1_048_576)
        mallopt(_M_TRIM_THRESHOLD, 4_194_304)


def release() -> None:
    """What is kept goes back to the system now: malloc_trim(3). Taking it anew costs much, so only
    before a rest or where far more will be needed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
