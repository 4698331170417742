"""What a hostile file may make a pool worker do."""

import ctypes
import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Seen:
    size: int
    process: int
    secrets: list[str]


def measure(data: bytes) -> Seen:
    return Seen(len(data), os.getpid(), [name for name in os.environ if "CARD_GATEWAY" in name])


def hang(_: bytes) -> int:
    time.sleep(600)
    return 0


def hang_in_native_code(_: bytes) -> int:
    ctypes.PyDLL(None).sleep(600)
    return 0


def crash(_: bytes) -> int:
    return ctypes.string_at(0)[0]


def use_up_memory(size: int) -> int:
    return len(bytearray(size))


def use_memory(blocks: int) -> int:
    """Allocates blocks of 1 MiB at once. Returns the number of page faults."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for block in [bytearray(1_048_576) for _ in range(blocks)]:
        block[::4096] = b"\1" * len(block[::4096])
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def fail(data: bytes) -> int:
    raise ValueError(data)


def answer_wrongly(_: bytes) -> int:
    return "not a number"  # type: ignore[return-value]


def write_a_file(path: str) -> bool:
    try:
        Path(path).write_bytes(b"taken over")
    except OSError:
        return False
    return True
