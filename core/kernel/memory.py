"""Returns freed memory from glibc's allocator to the operating system."""

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def return_large_blocks() -> None:
    """Returns blocks of 1 MiB and more to the system as soon as they are freed: mallopt(3).

    By default glibc raises that threshold after the first such free and caches blocks per
    thread; one Argon2id hash uses 19 MiB.
    """
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 1_048_576)
        mallopt(_M_TRIM_THRESHOLD, 4_194_304)


def release() -> None:
    """Returns all cached memory to the system now: malloc_trim(3).

    Allocating it again is expensive: call it only before an idle period or a large allocation.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
