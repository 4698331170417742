"""The real server as a separate process, on a free port and in its own folder."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from core.kernel.settings import PREFIX, Settings

_COMMAND = Path(sys.executable).with_name("card-gateway")
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """`settings` are added to the defaults; `program` runs instead of `card-gateway serve`."""

    def __init__(
        self,
        folder: Path,
        database_url: str | None = None,
        *,
        program: Sequence[str | Path] = (_COMMAND, "serve"),
        **settings: str | int,
    ) -> None:
        self.folder = folder
        self.given = {PREFIX + name.upper(): str(value) for name, value in settings.items()}
        self._program = program
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = database_url or f"sqlite:///{folder}/var/card-gateway.sqlite3"
        self.more: dict[str, str] = {}
        """Further settings."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        ours = {
            PREFIX + "DATABASE_URL": self.database_url,
            PREFIX + "OBJECTS_DIR": str(self.folder / "var" / "objects"),
            PREFIX + "SANDBOX": "true",
            PREFIX + "SANDBOX_CONFIRMED": "true",  # the benches add people of their own
            PREFIX + "PORT": str(self.port),
            PREFIX + "LOG_LEVEL": "WARNING",
            PREFIX + "MAX_CONNECTIONS_PER_ADDRESS": "100000",
            **self.more,
        }
        return os.environ | ours | self.given

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text("utf-8")

    def command(self, *arguments: str) -> str:
        """Runs another command of the gateway on the same data."""
        done = subprocess.run(  # noqa: S603
            [_COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"card-gateway {arguments[0]}: {done.stderr[-2000:]}{done.stdout}")
        return done.stdout.strip()

    def start(self, within: float = 60, core: int | None = None) -> float:
        """On one core, if one is given. Returns the seconds until it was ready."""
        began = time.monotonic()
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                self._program,
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
            )
        while time.monotonic() - began < within:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return time.monotonic() - began
            except httpx.HTTPError:
                time.sleep(0.02)
        self.stop(signal.SIGKILL)
        raise RuntimeError(self.log[-2000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def cpu_seconds(self, pid: int | None = None) -> float:
        """CPU seconds of the server and its workers, ended ones included, or of one process alone."""
        if pid is not None:
            return sum(_cpu_seconds(pid)[:2])
        assert self._process is not None
        return sum(sum(_cpu_seconds(one)) for one in _family(self._process.pid))

    def memories_mb(self) -> list[float]:
        """The server and each of its workers."""
        assert self._process is not None
        return list(map(_memory_mb, _family(self._process.pid)))

    def memory_mb(self) -> float:
        return sum(self.memories_mb())

    def settings(self) -> Settings:
        from sandbox.settings import sandbox_settings

        return sandbox_settings(Settings.read(self.environment))


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += _family(int(child))
    return found


def _cpu_seconds(pid: int) -> list[float]:
    """Its own, in user mode and in the kernel, and the same of its children that have ended.
    Nothing where the process has."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return [int(ticks) / _TICKS for ticks in fields[11:15]]
    return []


def _memory_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 1e6
    return 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
