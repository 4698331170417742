"""Metrics and the state of partners on a port that strangers do not reach."""

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.live import LiveServer, free_port, serving

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("operations")
    with serving(folder, operations_port=str(port)) as server:
        yield server


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False, timeout=10)


def test_the_public_port_tells_nothing_but_whether_it_is_ready(server: LiveServer) -> None:
    assert get(f"{server.url}/metrics").status_code == 404
    ready = get(f"{server.url}/readyz")
    assert (ready.status_code, ready.text) == (200, "ok\n")
    assert get(f"{server.url}/healthz").status_code == 200


def test_the_operations_port_tells_all(server: LiveServer, port: int) -> None:
    metrics, ready = (get(f"http://127.0.0.1:{port}/{path}") for path in ("metrics", "readyz"))

    assert 'card_gateway_partner_up{partner="sms"} 1' in metrics.text
    assert ready.json()["database"] == "ok"
    assert set(ready.json()["partners"]) >= {"sms"}
    assert get(f"http://127.0.0.1:{port}/healthz").status_code == 200


def test_the_operations_port_does_nothing_else(server: LiveServer, port: int) -> None:
    url = f"http://127.0.0.1:{port}"

    assert httpx.post(f"{url}/graphql", json={"query": "{ __typename }"}).status_code == 404
    assert get(f"{url}/sandbox/personas").status_code == 404


def test_it_listens_on_the_loopback_address_alone(server: LiveServer, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.9", port))  # in use, if it listened on every address


def test_without_the_setting_all_is_on_the_public_port(live_server: str) -> None:
    """The control."""
    assert "card_gateway_partner_up" in get(f"{live_server}/metrics").text
    assert "partners" in get(f"{live_server}/readyz").json()


def test_each_worker_has_a_port_of_its_own_also_after_a_reload(tmp_path: Path) -> None:
    first = _free_pair()
    ports = (first, first + 1)
    with serving(tmp_path, operations_port=str(first), workers="2") as server:
        at_first = [_comes_to_answer(port) for port in ports]
        server.process.send_signal(signal.SIGHUP)
        time.sleep(3)
        afterwards = [_comes_to_answer(port) for port in ports]

    assert at_first + afterwards == [True] * 4


def _comes_to_answer(port: int) -> bool:
    """A worker may still be starting."""
    for _ in range(300):
        try:
            return get(f"http://127.0.0.1:{port}/metrics").status_code == 200
        except httpx.TransportError:
            time.sleep(0.1)
    return False


def _free_pair() -> int:
    while True:
        port = free_port()
        with socket.socket() as next_one:
            try:
                next_one.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
