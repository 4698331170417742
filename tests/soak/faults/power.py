"""A file system that loses unsynced data at a power cut: `powercut.c`, mounted by FUSE."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

_SOURCE = Path(__file__).with_name("powercut.c")


def is_possible() -> bool:
    """Whether this machine has a C compiler, libfuse 3 with its headers, and /dev/fuse."""
    return (
        os.access("/dev/fuse", os.R_OK | os.W_OK)
        and all(shutil.which(name) for name in ("cc", "pkg-config", "fusermount3"))
        and subprocess.run(["pkg-config", "--exists", "fuse3"], check=False).returncode == 0  # noqa: S607
    )


class PowerCut:
    def __init__(self, process: "subprocess.Popen[bytes]", mount: Path, cuts: Path) -> None:
        self._process = process
        self.mount = mount
        self._cuts = cuts

    @classmethod
    @contextlib.contextmanager
    def mounted(cls, folder: Path) -> Iterator[Self]:
        """Mounted at `folder/disk`; durable data is in `folder/durable`."""
        program, mount, durable = folder / "powercut", folder / "disk", folder / "durable"
        mount.mkdir()
        durable.mkdir()
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "fuse3"],  # noqa: S607
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        subprocess.run(["cc", "-O2", "-Wall", "-o", program, _SOURCE, *flags], check=True)  # noqa: S603, S607
        process = subprocess.Popen([program, durable, mount, folder / "cuts"])  # noqa: S603
        try:
            while not os.path.ismount(mount):
                assert process.poll() is None, "the file system was not mounted"
                time.sleep(0.01)
            yield cls(process, mount, folder / "cuts")
        finally:
            subprocess.run(["fusermount3", "-u", "-z", mount], check=False)  # noqa: S603, S607
            process.kill()
            process.wait()

    def cut(self) -> None:
        """Drops everything that was not synced. No process may have a file open."""
        before = self._count()
        self._process.send_signal(signal.SIGUSR1)
        while self._count() == before:
            time.sleep(0.002)

    def _count(self) -> int:
        return self._cuts.stat().st_size if self._cuts.exists() else 0
