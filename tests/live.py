"""The real server in a separate process, with its sandbox, on a free port."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.kernel.settings import PREFIX

_PATIENCE_SECONDS = 120
"""A start takes two seconds, and up to thirty on a busy machine."""
_SIGN_IN = "mutation($i: SignInInput!) { signIn(input: $i) { ... on SignedIn { token } } }"


@dataclass(frozen=True, slots=True)
class LiveServer:
    url: str
    folder: Path
    process: "subprocess.Popen[bytes]"
    name: str = "server"

    @property
    def log(self) -> str:
        """Everything that was written to standard output and standard error."""
        return (self.folder / f"{self.name}.log").read_text("utf-8")

    @property
    def cpu_seconds(self) -> float:
        fields = (
            Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that all tests of the session share."""
    with serving(tmp_path_factory.mktemp("live")) as server:
        yield server.url


@contextmanager
def serving(folder: Path, name: str = "server", **settings: str) -> Iterator[LiveServer]:
    """Runs `card-gateway serve --sandbox` in `folder`; stops it as Ctrl-C does.

    Several of different names in one folder are workers on the same data.
    """
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = {PREFIX + name.upper(): value for name, value in settings.items()}
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [_command(), "serve", "--sandbox", "--port", str(port)],
            cwd=folder,
            env=environment | given,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        server = LiveServer(f"http://127.0.0.1:{port}", folder, process, name)
        try:
            _wait_until_ready(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(_PATIENCE_SECONDS)


def sign_in(http: httpx.Client, persona: str, channel: str = "UNIONPAY") -> str:
    """Signs in through the sandbox and returns the session's token."""
    handed: dict[str, Any] = http.post(
        "/sandbox/authorize", json={"channel": channel, "persona": persona}
    ).json()
    variables = {"i": {"channel": channel, **handed}}
    reply = http.post("/graphql", json={"query": _SIGN_IN, "variables": variables}).json()
    return str(reply["data"]["signIn"]["token"])


def read_code(http: httpx.Client, phone: str, purpose: str) -> str:
    inbox = http.get("/sandbox/sms", params={"phone": phone}).json()
    return str(next(sms["code"] for sms in inbox if sms["purpose"] == purpose))


def _command() -> str:
    beside = Path(sys.executable).with_name("card-gateway")
    return str(beside) if beside.exists() else str(shutil.which("card-gateway"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: LiveServer, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with httpx.Client(trust_env=False) as http:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if http.get(f"{server.url}/readyz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
    pytest.fail(f"the server did not start:\n{re.sub(r'(?m)^', '  ', server.log)}")
