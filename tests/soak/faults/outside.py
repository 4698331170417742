"""The processes of a run: the server, forked by a zygote, and the partner. Both get `kill -9`."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from bench.server import Server
from core.kernel.settings import PREFIX
from tests.soak.ws_load import UNLIMITED

_PARTNERS = ("sms", "population-registry", "insurance-registry", "card-registry", "issuer")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class World:
    """The server under test and the partner beside it."""

    def __init__(
        self, folder: Path, database_url: str | None, rate: float, control: str, data: Path
    ) -> None:
        self.server = Server(folder, database_url or f"sqlite:///{data}/card-gateway.sqlite3")
        self.folder = folder
        self.rate = rate
        self._port = free_port()
        self.partner_url = f"http://127.0.0.1:{self._port}"
        self._environment = self.server.environment | {
            **{
                PREFIX
                + name.upper().replace("-", "_")
                + "_URL": f"{self.partner_url}/partners/{name}"
                for name in _PARTNERS
            },
            **{PREFIX + name.upper(): str(value) for name, value in UNLIMITED.items()},
            "BENCH_CONTROL": control,
        }
        self._log = (folder / "server.log").open("ab")
        self._zygote: subprocess.Popen[str] | None = None
        self._partner: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def open(self) -> None:
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.faults.zygote"],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.start_partner()

    def close(self) -> None:
        for process in (self._zygote, self._partner):
            if process is not None:
                process.kill()
                process.wait()
        with contextlib.suppress(ProcessLookupError):
            if self._pid:
                os.kill(self._pid, signal.SIGKILL)
        self._log.close()

    def start(self, within: float = 60) -> float:
        """Returns the seconds until it was ready."""
        assert self._zygote is not None
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        began = time.monotonic()
        self._zygote.stdin.write("start\n")
        self._zygote.stdin.flush()
        self._pid = int(self._zygote.stdout.readline())
        while time.monotonic() - began < within:
            try:
                if httpx.get(f"{self.server.url}/readyz", timeout=5).status_code == 200:
                    return time.monotonic() - began
            except httpx.HTTPError:
                time.sleep(0.01)
        raise RuntimeError((self.folder / "server.log").read_text()[-2000:])

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        while Path(f"/proc/{self._pid}").exists():
            time.sleep(0.002)
        self._pid = 0

    def stop(self) -> None:
        os.kill(self._pid, signal.SIGTERM)
        while Path(f"/proc/{self._pid}").exists():
            time.sleep(0.01)
        self._pid = 0

    def start_partner(self) -> None:
        self._partner = subprocess.Popen(  # noqa: S603
            [
                sys.executable,
                *("-m", "tests.soak.faults.partner"),
                *("--port", str(self._port)),
                *("--world", str(self.folder / "partner.sqlite3")),
                *("--rate", str(self.rate)),
            ],
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
        )
        for _ in range(3000):
            try:
                httpx.get(f"{self.partner_url}/orders/none", timeout=5)
                return
            except httpx.HTTPError:
                time.sleep(0.01)
        raise RuntimeError("the partner did not start")

    def kill_partner(self) -> None:
        assert self._partner is not None
        self._partner.kill()
        self._partner.wait()

    def no_more_faults(self) -> None:
        self.rate = 0.0
        httpx.post(f"{self.partner_url}/faults", json={"rate": 0.0}).raise_for_status()
