"""`--workers`: one address, several processes, and a reload in which no request fails."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.live import LiveServer, serving

pytestmark = pytest.mark.server

QUERY = {"query": "{ channels { id } }"}
CLIENTS = 8


def workers(server: LiveServer) -> set[int]:
    """Process ids of the server's own children that serve."""
    main = server.process.pid
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    found = set()
    for pid in children:
        with contextlib.suppress(OSError):  # It may have ended since.
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(int(pid))
    return found


@contextmanager
def asking(server: LiveServer) -> Iterator[list[str]]:
    """Clients that ask all the time, each on a connection that it keeps; yields what went wrong."""
    wrong: list[str] = []
    stopped = threading.Event()
    answered = [0] * CLIENTS

    def ask(number: int) -> None:
        with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as http:
            while not stopped.is_set():
                try:
                    status = http.post("/graphql", json=QUERY).status_code
                except httpx.HTTPError as error:
                    wrong.append(repr(error))
                else:
                    answered[number] += 1
                    if status != 200:
                        wrong.append(str(status))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 30
    while not all(answered) and time.monotonic() < until:
        time.sleep(0.01)
    yield wrong
    stopped.set()
    for thread in threads:
        thread.join()
    assert min(answered) > 0


def wait_for(server: LiveServer, gone: set[int]) -> None:
    ends = time.monotonic() + 120
    while workers(server) & gone or len(workers(server)) < 2:
        assert time.monotonic() < ends, "the workers were not replaced"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serving(tmp_path_factory.mktemp("workers"), workers="2") as server:
        yield server


def test_a_reload_replaces_every_worker_and_fails_no_request(server: LiveServer) -> None:
    before = workers(server)
    assert len(before) == 2

    with asking(server) as wrong:
        time.sleep(0.3)
        os.kill(server.process.pid, signal.SIGHUP)
        wait_for(server, before)
        time.sleep(0.3)

    assert wrong == []


def test_killed_workers_do_fail_requests_and_are_replaced(server: LiveServer) -> None:
    """The control: the clients notice."""
    before = workers(server)

    with asking(server) as wrong:
        time.sleep(0.3)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_for(server, before)

    assert wrong != []
