"""Work for a worker that shows what a guard is for: with it, and with it taken out."""

from pathlib import Path

from core.imaging import decoding, process_portrait
from core.imaging.decoding import MEGAPIXEL


def megabytes_used_for(data: bytes, guarded: bool) -> int:
    """By how much the worker's largest size grew; run in a fresh one."""
    process_portrait(b"", 0, 1)
    before = _largest_size()
    if not guarded:
        decoding._MAX_PIXELS["PNG"] = 10_000 * MEGAPIXEL
    process_portrait(data, 0, 40_960)
    return (_largest_size() - before) // 1024


def _largest_size() -> int:
    """Kilobytes. `ru_maxrss` would not do: Linux hands it on from the process that started this one."""
    [line] = [
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    ]
    return int(line.split()[1])
