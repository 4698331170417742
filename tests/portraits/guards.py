"""Work for a worker that shows what a guard is for: with it, and with it taken out."""

import resource

from core import decoding
from core.decoding import MEGAPIXEL
from core.portraits import process_portrait


def megabytes_used_for(data: bytes, guarded: bool) -> int:
    """By how much the worker's largest size grew; run in a fresh one."""
    process_portrait(b"", 0, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if not guarded:
        decoding._MOST_PIXELS_WHOLE = 10_000 * MEGAPIXEL
    process_portrait(data, 0, 40_960)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
