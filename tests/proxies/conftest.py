"""A real nginx and a real HAProxy before a real server, with the configurations of docs/deployment.md.

Beside them stand two careless proxies: they append to the client's `X-Forwarded-For` and pass
every upgrade on. Clients are told apart by their loopback addresses, of which each test has some of its own.
"""

import itertools
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.live import LiveServer, free_port, serving

ADDRESS_BUDGET = 3_000
PLACES = 8
"""Connections that an address may have."""
PATIENCE_SECONDS = 20
_DEPLOYMENT = Path(__file__).parents[2] / "docs" / "deployment.md"
_CARELESS_NGINX = """
server {
    listen 443 ssl;
    server_name card.example;
    ssl_certificate     /etc/ssl/card.example.pem;
    ssl_certificate_key /etc/ssl/card.example.key;
    client_max_body_size 0;
    location / {
        proxy_pass http://127.0.0.1:8000;
        proxy_http_version 1.1;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $http_connection;
        proxy_buffering off;
    }
}
"""
_CARELESS_HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option forwardfor
frontend card
    bind :443 ssl crt /etc/haproxy/card.example.pem
    default_backend card_gateway
backend card_gateway
    server gateway 127.0.0.1:8000
"""
_hosts = itertools.count(1)


def documented(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", _DEPLOYMENT.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


PROXIES = {
    "nginx": documented("nginx"),
    "nginx, careless": _CARELESS_NGINX,
    "haproxy": documented("haproxy"),
    "haproxy, careless": _CARELESS_HAPROXY,
}


@dataclass(frozen=True, slots=True)
class Proxied:
    """A server and the proxy before it."""

    name: str
    port: int
    server: LiveServer
    certificate: Path = field(repr=False)

    @property
    def tls(self) -> ssl.SSLContext:
        """TLS 1.2, because a session ticket of TLS 1.3 may arrive in the reading thread of a
        WebSocket client while another one writes, and Python before 3.13 takes no lock there."""
        context = ssl.create_default_context(cafile=self.certificate)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    @contextmanager
    def client(self, address: str) -> Iterator[httpx.Client]:
        transport = httpx.HTTPTransport(local_address=address, verify=self.tls)
        url = f"https://127.0.0.1:{self.port}"
        with httpx.Client(base_url=url, transport=transport, timeout=PATIENCE_SECONDS) as http:
            yield http

    def connect(self, address: str) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS, (address, 0))
        return self.tls.wrap_socket(plain, server_hostname="127.0.0.1")

    def socket(self, address: str) -> ClientConnection:
        """A `graphql-transport-ws` client before its `connection_init`."""
        url = f"ws://127.0.0.1:{self.port}/graphql"  # the connection has its TLS already
        protocols = [Subprotocol("graphql-transport-ws")]
        return connect(url, sock=self.connect(address), subprotocols=protocols, proxy=None)

    def exchange(self, address: str, *pieces: bytes) -> bytes:
        """Everything that is answered until the proxy closes the connection."""
        with self.connect(address) as connection:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.05)
            return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.fixture
def new_address() -> Callable[[], str]:
    """An address of a client that no other test has used."""
    number = next(_hosts)
    places = itertools.count(1)
    return lambda: f"127.{1 + number // 250}.{1 + number % 250}.{next(places)}"


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("behind-proxies")
    limits = {
        "address_budget": str(ADDRESS_BUDGET),
        "session_budget": str(ADDRESS_BUDGET),
        "max_connections_per_address": str(PLACES),
    }
    with serving(folder, trusted_proxies="127.0.0.1", sandbox_confirmed="true", **limits) as server:
        yield server


@pytest.fixture(scope="session", params=PROXIES)
def proxied(
    request: pytest.FixtureRequest, gateway: LiveServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    name: str = request.param
    program = name.partition(",")[0]
    if shutil.which(program) is None:
        pytest.skip(f"NO {program.upper()}: nothing is tested behind it. Install it to test it.")
    folder = tmp_path_factory.mktemp("proxy")
    certificate = _certify(folder)
    port = free_port()
    text = _adapted(PROXIES[name], folder, port, gateway.url.removeprefix("http://"))
    command = (_nginx if program == "nginx" else _haproxy)(folder, text)
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)  # noqa: S603
    try:
        _wait_until_listening(port, process, folder)
        yield Proxied(name, port, gateway, certificate)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _certify(folder: Path) -> Path:
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        " -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
        " -keyout card.example.key -out card.example.crt"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)  # noqa: S603
    certificate = folder / "card.example.crt"
    both = certificate.read_text() + (folder / "card.example.key").read_text()
    (folder / "card.example.pem").write_text(both)
    return certificate


def _adapted(text: str, folder: Path, port: int, server: str) -> str:
    """The configuration with the test's own ports and files."""
    for given, own in {
        "listen 443": f"listen 127.0.0.1:{port}",
        "bind :443": f"bind 127.0.0.1:{port}",
        "127.0.0.1:8000": server,
        "/etc/ssl/": f"{folder}/",
        "/etc/haproxy/": f"{folder}/",
    }.items():
        text = text.replace(given, own)
    return text


def _nginx(folder: Path, text: str) -> list[str]:
    paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"    {path}_temp_path {folder}/{path};" for path in paths)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\n    access_log off;\n{temporary}\n{text}\n}}\n"
    )
    return ["nginx", "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]


def _haproxy(folder: Path, text: str) -> list[str]:
    (folder / "haproxy.cfg").write_text(text)
    return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]


def _wait_until_listening(port: int, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"the proxy did not start:\n{(folder / 'proxy.log').read_text()}")
