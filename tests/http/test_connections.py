"""A real server with few places: who uses nothing gives way, and ends."""

import asyncio
import base64
import contextlib
import json
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.http.edge import TrustedProxies
from gateway.http.server import Connections, TimedWebSockets, websockets
from gateway.http.server.sequential import BUSY
from tests.live import LiveServer, free_port, serving, sign_in

pytestmark = pytest.mark.server

PLACES = 50
PLACES_OF_AN_ADDRESS = 8
SECONDS = 1.0
_PRODUCTION = "subscription { productionProgress { __typename } }"


@pytest.fixture(scope="module")
def full_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    settings = {
        "read_seconds": str(SECONDS),
        "max_connections": str(PLACES),
        "max_connections_per_address": "1000",
    }
    with serving(tmp_path_factory.mktemp("full"), **settings) as server:
        yield server


@pytest.fixture(scope="module")
def fair_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    places = str(PLACES_OF_AN_ADDRESS)
    with serving(tmp_path_factory.mktemp("fair"), max_connections_per_address=places) as server:
        yield server


class Socket:
    """A WebSocket client of few lines: it sends and reads what a test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.status = reader, writer, 0

    @classmethod
    async def connect(cls, server: LiveServer, address: str = "127.0.0.1") -> "Socket":
        url = urlsplit(server.url)
        assert url.hostname is not None
        local = (address, 0)
        self = cls(*await asyncio.open_connection(url.hostname, url.port, local_addr=local))
        key = base64.b64encode(os.urandom(16))
        self.writer.write(
            b"GET /graphql HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"
            b"Sec-WebSocket-Key: " + key + b"\r\n\r\n"
        )
        async with asyncio.timeout(5):
            self.status = int((await self.reader.readuntil(b"\r\n\r\n"))[9:12])
        return self

    def send(self, message: object) -> None:
        self.send_frame(0x81, json.dumps(message).encode())

    def send_frame(self, opcode: int, data: bytes) -> None:
        is_short = len(data) <= 125
        length = bytes([0x80 | len(data)]) if is_short else b"\xfe" + len(data).to_bytes(2, "big")
        self.writer.write(bytes([opcode]) + length + b"\0\0\0\0" + data)

    async def frame(self) -> tuple[int, bytes]:
        first, length = await self.reader.readexactly(2)
        if length == 126:
            length = int.from_bytes(await self.reader.readexactly(2), "big")
        return first & 15, await self.reader.readexactly(length)

    async def begin(self, **parameters: str) -> None:
        self.send({"type": "connection_init", "payload": parameters})
        async with asyncio.timeout(5):
            assert json.loads((await self.frame())[1])["type"] == "connection_ack"

    async def close_code(self, seconds: float) -> int | None:
        """Answers pings; the code with which the server closed; None if it did not."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    opcode, data = await self.frame()
                    if opcode == 8:
                        return int.from_bytes(data[:2], "big")
                    if opcode == 9:
                        self.send_frame(0x8A, data)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return None

    def drop(self) -> None:
        self.writer.transport.abort()


async def is_served(server: LiveServer) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        return (await http.get(f"{server.url}/healthz")).status_code == 200


async def is_refused(server: LiveServer, address: str) -> bool:
    """Whether a new connection of the address is closed at once, with 503 if that is read."""
    url = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port, local_addr=(address, 0))
    received = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(2):
            received = await reader.read()
    writer.transport.abort()
    return received in (b"", BUSY)


async def test_anonymous_sockets_do_not_shut_others_out(full_server: LiveServer) -> None:
    """More than there are places for, all of them awake and answering pings."""
    held = []
    for _ in range(PLACES + 10):
        socket = await Socket.connect(full_server)
        assert socket.status == 101
        await socket.begin()
        held.append(socket)

    assert await is_served(full_server)
    assert await held[0].close_code(2) == 1013  # try again later
    for socket in held:
        socket.drop()


async def test_a_socket_with_a_subscription_or_a_session_keeps_its_place(
    full_server: LiveServer,
) -> None:
    """The control: not every socket gives way."""
    with httpx.Client(base_url=full_server.url, trust_env=False) as http:
        token = sign_in(http, "active")
        making = sign_in(http, "in-production")
    used = []
    for query, signed in ((_PRODUCTION, making), ("{ viewer { name } }", token)):
        socket = await Socket.connect(full_server)
        await socket.begin(Authorization=f"Bearer {signed}")
        socket.send({"type": "subscribe", "id": "1", "payload": {"query": query}})
        opcode, data = await socket.frame()
        assert (opcode, json.loads(data)["type"]) == (1, "next"), data
        used.append(socket)

    idle = [await Socket.connect(full_server) for _ in range(PLACES + 10)]

    assert await is_served(full_server)
    for socket in used:
        assert await socket.close_code(0.5) is None
        assert not socket.reader.at_eof()
    for socket in (*used, *idle):
        socket.drop()


async def test_idle_connections_give_way_too(full_server: LiveServer) -> None:
    """Each has been answered once, and is kept alive."""
    url, held = urlsplit(full_server.url), []
    for _ in range(PLACES + 10):
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
        assert (await reader.read(4_096)).startswith(b"HTTP/1.1 200")
        held.append(writer)

    assert await is_served(full_server)
    for writer in held:
        writer.transport.abort()


async def test_an_address_has_places_of_its_own(fair_server: LiveServer) -> None:
    held = [await Socket.connect(fair_server, "127.0.0.2") for _ in range(PLACES_OF_AN_ADDRESS)]
    for socket in held:
        await socket.begin()

    one_more = await Socket.connect(fair_server, "127.0.0.2")
    another = await Socket.connect(fair_server, "127.0.0.3")

    assert (one_more.status, another.status) == (101, 101)
    assert await held[0].close_code(2) == 1013
    assert await held[1].close_code(0.3) is None
    for socket in (*held, one_more, another):
        socket.drop()


async def test_without_places_of_its_own_an_address_takes_all(full_server: LiveServer) -> None:
    """The control: nothing but the limit by address makes its oldest connection give way."""
    patient = await Socket.connect(full_server, "127.0.0.3")
    await patient.begin()
    held = [await Socket.connect(full_server, "127.0.0.2") for _ in range(PLACES)]

    assert await patient.close_code(2) == 1013
    for socket in (patient, *held):
        socket.drop()


async def test_places_in_use_are_not_taken_from_the_address(fair_server: LiveServer) -> None:
    with httpx.Client(base_url=fair_server.url, trust_env=False) as http:
        token = sign_in(http, "in-production")
    held = []
    for number in range(PLACES_OF_AN_ADDRESS):
        socket = await Socket.connect(fair_server, "127.0.0.4")
        await socket.begin(Authorization=f"Bearer {token}")
        socket.send({"type": "subscribe", "id": str(number), "payload": {"query": _PRODUCTION}})
        await socket.frame()
        held.append(socket)

    assert await is_refused(fair_server, "127.0.0.4")
    assert await is_served(fair_server)
    for socket in held:
        assert not socket.reader.at_eof()
        socket.drop()
    await asyncio.sleep(0.2)
    again = await Socket.connect(fair_server, "127.0.0.4")
    assert again.status == 101
    again.drop()


async def unread_pongs(protocol: Any) -> int:
    """The bytes that a server of this protocol holds for a client that pings and never reads."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    port = free_port()
    config = uvicorn.Config(app, port=port, ws=protocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving_it = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    found = LiveServer(f"http://127.0.0.1:{port}", Path(), None)  # type: ignore[arg-type]
    socket = await Socket.connect(found)
    socket.reader._transport.pause_reading()  # type: ignore[attr-defined]
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(5):
            while True:
                for _ in range(1_000):
                    socket.send_frame(0x89, b"x" * 125)
                await socket.writer.drain()
    held = sum(one.transport.get_write_buffer_size() for one in server.server_state.connections)
    socket.drop()
    server.should_exit = True
    await serving_it
    return held


async def test_who_pings_without_reading_is_not_answered_for_ever() -> None:
    connections = Connections(
        seconds=10,
        min_rate=1,
        limit=10,
        limit_per_address=10,
        proxies=TrustedProxies((), "x-forwarded-for"),
    )

    assert await unread_pongs(partial(TimedWebSockets, connections=connections)) < 500_000


async def test_uvicorns_own_sockets_would_answer_on() -> None:
    """The control."""
    assert await unread_pongs(WebSocketsSansIOProtocol) > 2_000_000


@pytest.mark.parametrize(
    ("opcode", "data"),
    [(0x8A, b""), (0x89, b""), (0x81, b'{"type":"ping"}'), (0x81, b"x" * 60_000)],
    ids=["pongs", "pings", "messages", "large messages"],
)
async def test_a_flood_of_frames_ends_its_socket(
    full_server: LiveServer, opcode: int, data: bytes
) -> None:
    socket = await Socket.connect(full_server)
    await socket.begin()
    before = full_server.cpu_seconds

    with contextlib.suppress(ConnectionError):
        for _ in range(20 if len(data) > 1_000 else 20_000):
            socket.send_frame(opcode, data)
        await socket.writer.drain()
    ended = await socket.close_code(5)

    assert ended in (None, 1008, 4400)
    assert ended is not None or socket.writer.transport.is_closing()
    assert full_server.cpu_seconds - before < 0.4
    assert await is_served(full_server)
    socket.drop()


async def test_operations_that_nobody_reads_are_few_and_no_errors(
    full_server: LiveServer,
) -> None:
    query = "{ __schema { types { name description fields { name description } } } }"
    held = full_server.resident_bytes
    for _ in range(6):
        socket = await Socket.connect(full_server)
        await socket.begin()
        socket.reader._transport.pause_reading()  # type: ignore[attr-defined]
        for number in range(150):
            payload = {"query": query}
            socket.send({"type": "subscribe", "id": str(number), "payload": payload})
        await asyncio.sleep(1)
        socket.drop()
    await asyncio.sleep(1)

    assert full_server.resident_bytes - held < 60_000_000
    assert '"level": "error"' not in full_server.log


async def test_an_upload_in_progress_does_not_give_way_to_idle_neighbours(
    fair_server: LiveServer,
) -> None:
    url = urlsplit(fair_server.url)
    reader, writer = await asyncio.open_connection(
        url.hostname, url.port, local_addr=("127.0.0.5", 0)
    )
    body = b'{"query":"{ channels { id } }"}'.ljust(120_000)
    writer.write(
        b"POST /graphql HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    neighbours = []
    for at in range(0, len(body), 10_000):
        writer.write(body[at : at + 10_000])
        await asyncio.sleep(0.05)
        idle = await asyncio.open_connection(url.hostname, url.port, local_addr=("127.0.0.5", 0))
        idle[1].write(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
        await idle[0].read(4_096)
        neighbours.append(idle[1])

    async with asyncio.timeout(5):
        assert (await reader.read(4_096)).startswith(b"HTTP/1.1 200")
    for one in (writer, *neighbours):
        one.transport.abort()


async def test_a_message_of_endless_frames_is_cut_off(full_server: LiveServer) -> None:
    socket = await Socket.connect(full_server)
    await socket.begin()
    socket.send_frame(0x01, b"")
    for _ in range(websockets.MAX_FRAMES + 1):
        socket.send_frame(0x00, b"")

    assert await socket.close_code(2) == 1008
    socket.drop()


async def test_who_does_not_read_its_response_is_closed(full_server: LiveServer) -> None:
    url = urlsplit(full_server.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port, limit=1)
    writer.transport.get_extra_info("socket").setsockopt(1, 8, 4_096)  # SO_RCVBUF
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    query = b'{"query": "{ __schema { types { name description fields { name description } } } }"}'
    asked = (
        b"POST /graphql HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(query) + query
    )
    writer.write(asked * 200)
    began = time.monotonic()

    async def closed() -> float:
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(0.2)
                writer.write(b"\r\n")
                await writer.drain()
        return time.monotonic() - began

    held = await asyncio.wait_for(closed(), 20)

    assert held > SECONDS
    assert await is_served(full_server)


def test_no_errors_are_logged(full_server: LiveServer, fair_server: LiveServer) -> None:
    """The last of the module: what all tests above left."""
    for server in (full_server, fair_server):
        assert "Traceback" not in server.log
        assert '"level": "error"' not in server.log
