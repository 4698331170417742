"""A real server with a short patience: who dawdles loses the connection, who works does not.

`make soak-slow-sockets` does the same with 1,500 sockets and the default patience.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.live import LiveServer, serving

pytestmark = pytest.mark.server

SECONDS = 1.0
MAX_CONNECTIONS = 40
HEAD = b"POST /graphql HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
SLOW = {
    "silent": b"",
    "half a head": HEAD,
    "half a body": HEAD + b"Content-Length: 1000\r\n\r\n{",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    settings = {
        "read_seconds": str(SECONDS),
        "min_upload_rate": "20000",
        "max_connections": str(MAX_CONNECTIONS),
    }
    with serving(tmp_path_factory.mktemp("slow"), **settings) as server:
        yield server


@pytest.fixture(scope="module")
def patient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The control: the deadline taken out."""
    with serving(tmp_path_factory.mktemp("patient"), read_seconds="3600") as server:
        yield server


async def opened(server: LiveServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    url = urlsplit(server.url)
    assert url.hostname is not None
    return await asyncio.open_connection(url.hostname, url.port)


async def seconds_open(server: LiveServer, opening: bytes, most: float) -> float | None:
    """How long the server held a socket that sends a byte now and then; None past `most`."""
    reader, writer = await opened(server)
    writer.write(opening)
    began = time.monotonic()

    async def drip() -> None:
        with contextlib.suppress(ConnectionError):
            while opening:
                await asyncio.sleep(0.3)
                writer.write(b"x")

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(most):
            with contextlib.suppress(ConnectionError):
                while await reader.read(65_536):
                    pass
        return time.monotonic() - began
    except TimeoutError:
        return None
    finally:
        dripping.cancel()
        writer.transport.abort()


@pytest.mark.parametrize("kind", SLOW)
async def test_a_slow_socket_is_closed(server: LiveServer, kind: str) -> None:
    held = await seconds_open(server, SLOW[kind], 6)

    assert held is not None
    assert SECONDS * 0.9 <= held <= SECONDS + 3


async def test_without_the_deadline_it_stays_open(patient_server: LiveServer) -> None:
    """The control: it is the deadline that closes them, not something else."""
    held = await asyncio.gather(
        *(seconds_open(patient_server, opening, 4) for opening in SLOW.values())
    )

    assert held == [None] * len(SLOW)


async def test_a_body_that_keeps_coming_is_read(server: LiveServer) -> None:
    """Twice as long as the patience, but at more than the least rate."""
    body = b'{"query": "{ __typename }"' + b" " * 100_000 + b"}"
    reader, writer = await opened(server)
    head = HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(body))

    for start in range(0, len(body), 10_000):
        writer.write(body[start : start + 10_000])
        await asyncio.sleep(0.2)
    answer = await asyncio.wait_for(reader.read(), 5)

    assert answer.startswith(b"HTTP/1.1 200")
    writer.close()


async def test_slow_sockets_do_not_shut_others_out(server: LiveServer) -> None:
    """More than there are places for: the slowest give way to who comes."""
    held = [await opened(server) for _ in range(MAX_CONNECTIONS + 20)]

    async with httpx.AsyncClient(trust_env=False) as http:
        response = await http.get(f"{server.url}/healthz", timeout=5)

    assert response.status_code == 200
    for _, writer in held:
        writer.transport.abort()


async def test_an_endless_head_is_cut_off(server: LiveServer) -> None:
    reader, writer = await opened(server)
    writer.write(HEAD)

    with contextlib.suppress(ConnectionError):
        for n in range(200):
            writer.write(b"X-%d: " % n + b"x" * 1_000 + b"\r\n")
            await writer.drain()
    answer = b""
    with contextlib.suppress(ConnectionError):
        answer = await asyncio.wait_for(reader.read(), 5)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
    writer.transport.abort()


async def test_a_socket_that_never_begins_is_closed(server: LiveServer) -> None:
    opening = (
        b"GET /graphql HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n"
        b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    reader, writer = await opened(server)
    writer.write(opening)

    async with asyncio.timeout(15):
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass

    writer.transport.abort()
    assert "Traceback" not in server.log
