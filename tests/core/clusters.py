"""PostgreSQL clusters of a test's own, which trust whoever is on this machine."""

import contextlib
import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live import free_port

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
AS_SERVER = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
"""PostgreSQL and PgBouncer refuse to run as root."""


@dataclass(frozen=True, slots=True)
class Cluster:
    port: int
    folder: Path

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def control(self, *arguments: str) -> None:
        _run("pg_ctl", "--silent", "--wait", "-D", str(self.folder / "data"), *arguments)


@contextlib.contextmanager
def standby() -> Iterator[Cluster]:
    """A hot standby that waits for a primary which never comes, until it is promoted."""
    if not _PROGRAMS:
        pytest.skip("NO INITDB: no standby is tested. Install postgresql to test it.")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    cluster = Cluster(free_port(), folder)
    options = f"-p {cluster.port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    try:
        _run("initdb", "--no-sync", "--auth=trust", "-U", getpass.getuser(), "-D", f"{folder}/data")
        _run("touch", f"{folder}/data/standby.signal")
        cluster.control("start", "-l", f"{folder}/log", "-o", options)
        yield cluster
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            cluster.control("stop", "--mode=immediate")
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: str, *arguments: str) -> None:
    beside = _PROGRAMS[-1].with_name(program)
    command = [*AS_SERVER, str(beside) if beside.exists() else program, *arguments]
    subprocess.run(command, cwd="/", check=True, capture_output=True)  # noqa: S603
