"""Over real sockets: where a request ends, what lies behind it, and what may not hold the server."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from tests.live import LiveServer, serving, sign_in

pytestmark = pytest.mark.server

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
SECONDS = 2.0
JSON_HEAD = b"POST /graphql HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n"
VIEWER = b'{"query":"{ viewer { name } }"}'
WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serving(tmp_path_factory.mktemp("messages"), read_seconds=str(SECONDS)) as server:
        yield server


async def connect(server: LiveServer) -> Connection:
    url = urlsplit(server.url)
    assert url.hostname is not None
    return await asyncio.open_connection(url.hostname, url.port)


async def answers(server: LiveServer, *parts: bytes, pause: float = 0.1) -> list[bytes]:
    """Sends the parts, and reads until the server closes; the responses, in order."""
    reader, writer = await connect(server)
    for part in parts:
        writer.write(part)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        await asyncio.sleep(pause)
    received = b""
    try:
        async with asyncio.timeout(8):
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65_536):
                    received += data
    finally:
        writer.transport.abort()
    return [b"HTTP/1.1 " + part for part in received.split(b"HTTP/1.1 ")[1:]]


def statuses(responses: list[bytes]) -> list[int]:
    return [int(response[9:12]) for response in responses]


def posted(body: bytes, *headers: bytes) -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return JSON_HEAD + length + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


QUERY = b'{"query":"{ channels { id } }"}'
CLOSED = posted(QUERY, b"Connection: close")


@pytest.mark.parametrize(
    "upgrade",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        b"Connection: upgrade\r\nUpgrade: TLS/1.0\r\n",
        b"Connection: Upgrade\r\nUPGRADE: h2c\r\nUpgrade: foo/2\r\n",
    ],
)
@pytest.mark.parametrize("pieces", [1, 2])
async def test_an_unknown_upgrade_is_ignored(
    server: LiveServer, upgrade: bytes, pieces: int
) -> None:
    """Java's HTTP client and `curl --http2` offer h2c with every request."""
    head = JSON_HEAD + upgrade + b"Content-Length: %d\r\n\r\n" % len(QUERY)
    parts = [head + QUERY] if pieces == 1 else [head, QUERY]

    (answer, last) = await answers(server, *parts, CLOSED)

    assert b'"channels":[' in answer
    assert statuses([answer, last]) == [200, 200]


FAILED_HANDSHAKES = {
    "a POST with a body": b"POST /graphql HTTP/1.1\r\nHost: gateway\r\n"
    + WEBSOCKET
    + b"Content-Length: 5\r\n\r\nhello",
    "a GET with a body": b"GET /graphql HTTP/1.1\r\nHost: gateway\r\n"
    + WEBSOCKET
    + b"Content-Length: 5\r\n\r\nhello",
    "a chunked GET": b"GET /graphql HTTP/1.1\r\nHost: gateway\r\n"
    + WEBSOCKET
    + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "200 headers": b"GET /graphql HTTP/1.1\r\nHost: gateway\r\n"
    + WEBSOCKET
    + b"".join(b"X-%d: 1\r\n" % number for number in range(200))
    + b"\r\n",
    "a long header": b"GET /graphql HTTP/1.1\r\nHost: gateway\r\n"
    + WEBSOCKET
    + b"X-Long: "
    + b"x" * 20_000
    + b"\r\n\r\n",
    "no key": b"GET /graphql HTTP/1.1\r\nHost: gateway\r\n"
    + WEBSOCKET.replace(b"Sec-WebSocket-Key", b"X-Key")
    + b"\r\n",
    "another version": b"GET /graphql HTTP/1.1\r\nHost: gateway\r\n"
    + WEBSOCKET.replace(b"13", b"12")
    + b"\r\n",
    "two protocols": b"GET /graphql HTTP/1.1\r\nHost: gateway\r\n"
    + WEBSOCKET.replace(b"websocket\r\n", b"websocket, h2c\r\n")
    + b"\r\n",
}


@pytest.mark.parametrize("kind", FAILED_HANDSHAKES)
async def test_a_failed_handshake_is_answered_and_closed(server: LiveServer, kind: str) -> None:
    began = time.monotonic()

    found = await answers(server, FAILED_HANDSHAKES[kind])

    assert len(found) == 1
    assert statuses(found)[0] in (400, 426, 431)
    assert time.monotonic() - began < SECONDS


async def test_half_a_handshake_is_closed(server: LiveServer) -> None:
    began = time.monotonic()

    found = await answers(server, b"GET /graphql HTTP/1.1\r\nHost: gateway\r\n" + WEBSOCKET)

    assert statuses(found) == [408]
    assert SECONDS * 0.9 < time.monotonic() - began < SECONDS + 3


async def test_http_1_0_knows_no_upgrade(server: LiveServer) -> None:
    asked = b"GET /healthz HTTP/1.0\r\n" + WEBSOCKET + b"\r\n"

    assert statuses(await answers(server, asked)) == [200]


def chunked(body: bytes, trailers: bytes, *headers: bytes) -> bytes:
    framed = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)
    return (
        JSON_HEAD
        + b"".join(header + b"\r\n" for header in headers)
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + framed
    )


async def test_trailers_are_dropped(server: LiveServer, sign_in_token: str) -> None:
    """They came after what proxies check, and must not sign anybody in."""
    signed = b"Authorization: Bearer " + sign_in_token.encode()

    found = await answers(
        server,
        chunked(VIEWER, signed + b"\r\nX-Forwarded-For: 203.0.113.9\r\n"),
        chunked(VIEWER, b"", signed),
        CLOSED,
    )

    in_trailer, in_head = (json.loads(answer.partition(b"\r\n\r\n")[2]) for answer in found[:2])
    assert in_trailer["data"]["viewer"] is None
    assert in_head["data"]["viewer"]["name"]


@pytest.mark.parametrize(
    "endless",
    [b"0\r\nX-Trailer: " + b"x" * 100_000, b"0\r\n" + b"X: y\r\n" * 20_000, b"1;" + b"x" * 100_000],
    ids=["one line", "many lines", "an extension"],
)
async def test_endless_trailers_and_extensions_are_refused(
    server: LiveServer, endless: bytes
) -> None:
    head = JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

    assert statuses(await answers(server, head + b"2\r\n{}\r\n" + endless)) == [431]


def in_one_chunk(body: bytes) -> bytes:
    head = JSON_HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


async def test_the_lines_of_a_chunk_cost_nothing(server: LiveServer) -> None:
    """A body is cut where its framing is, not where its content has line ends."""
    before = server.cpu_seconds

    found = await answers(server, in_one_chunk(b"\n" * 1_000_000))

    assert statuses(found) == [400]  # no JSON
    assert server.cpu_seconds - before < 0.4


async def test_a_body_of_tiny_chunks_is_refused(server: LiveServer) -> None:
    before = server.cpu_seconds
    head = JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

    assert statuses(await answers(server, head + b"1\r\na\r\n" * 150_000)) == [400]
    assert server.cpu_seconds - before < 0.4


async def test_a_body_of_many_ordinary_chunks_is_read(server: LiveServer) -> None:
    """The control."""
    body = QUERY.ljust(900_000)
    pieces = [body[at : at + 300] for at in range(0, len(body), 300)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    head = JSON_HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"

    (answer,) = await answers(server, head + chunks + b"0\r\n\r\n")

    assert b'"channels":[' in answer


@pytest.mark.parametrize("request_", [posted(QUERY), HEALTH], ids=["fast path", "ASGI"])
async def test_who_ends_its_side_still_gets_its_answer(server: LiveServer, request_: bytes) -> None:
    for _ in range(2):
        reader, writer = await connect(server)
        writer.write(request_)
        writer.write_eof()

        async with asyncio.timeout(5):
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_what_cannot_be_read_behind_an_ended_side_is_dropped(server: LiveServer) -> None:
    """The connection is closing when it is looked at, and the server goes on."""
    for junk in (b"GET http:// HTTP/1.1\r\nHost: gateway\r\n\r\n", b"junk\r\n\r\n"):
        for _ in range(5):
            reader, writer = await connect(server)
            writer.write(HEALTH + junk + HEALTH)
            writer.write_eof()
            async with asyncio.timeout(5):
                assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()

    assert statuses(await answers(server, CLOSED)) == [200]


async def test_a_path_with_a_slash_too_many_leads_nowhere(server: LiveServer) -> None:
    """A redirect would name whatever host the request names."""
    asked = b"GET /graphql/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"

    (answer,) = await answers(server, asked)

    assert statuses([answer]) == [404]
    assert b"\nlocation:" not in answer.lower()


async def test_the_answer_comes_before_the_refusal_of_what_follows(server: LiveServer) -> None:
    found = await answers(server, posted(QUERY) + b"junk\r\n\r\n")

    assert statuses(found) == [200, 400]
    assert b'"channels":[' in found[0]


async def test_requests_that_arrive_together_are_answered_in_order(server: LiveServer) -> None:
    bodies = [b'{"query":"{ a%d: channels { id } }"}' % number for number in range(30)]
    requests = [
        posted(body) if number % 3 else chunked(body, b"") for number, body in enumerate(bodies)
    ]

    found = await answers(server, b"".join([*requests, HEALTH, CLOSED]))

    assert statuses(found) == [200] * 32
    for number, answer in enumerate(found[:30]):
        assert b'"a%d":[' % number in answer


@pytest.mark.parametrize("cut", range(1, 60, 7))
async def test_a_request_may_be_cut_anywhere(server: LiveServer, cut: int) -> None:
    whole = chunked(QUERY, b"X-Trailer: 1\r\n") + CLOSED
    pieces = [whole[at : at + cut] for at in range(0, len(whole), cut)]

    found = await answers(server, *pieces, pause=0.002)

    assert statuses(found) == [200, 200]


@pytest.mark.parametrize("size", [66_000, 117_000, 2_000_000])
async def test_a_long_head_is_refused(server: LiveServer, size: int) -> None:
    """Also in one piece."""
    asked = HEALTH[:-2] + b"X-Long: " + b"x" * size + b"\r\n\r\n"

    assert statuses(await answers(server, asked)) == [431]


async def test_many_headers_are_refused(server: LiveServer) -> None:
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(200))

    assert statuses(await answers(server, HEALTH[:-2] + many + b"\r\n")) == [431]


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /healthz HTTP/1.1\nHost: gateway\n\n",
        b"GET /healthz HTTP/1.1\r\nHost: gateway\r\nX-Folded: a\r\n b\r\n\r\n",
        b"CONNECT gateway:443 HTTP/1.1\r\nHost: gateway:443\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["TLS", "bare LF", "folded", "CONNECT", "HTTP/2"],
)
async def test_what_is_no_request_is_refused_at_once(server: LiveServer, head: bytes) -> None:
    began = time.monotonic()

    assert statuses(await answers(server, head)) == [400]
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("path", [b"/graphql", b"/nowhere"])
async def test_an_early_answer_is_read_by_who_is_still_sending(
    server: LiveServer, path: bytes
) -> None:
    """A server that closes at once resets the connection, and the answer is lost."""
    reader, writer = await connect(server)
    head = JSON_HEAD.replace(b"/graphql", path)
    writer.write(head + b"Content-Length: 30000000\r\n\r\n")

    received = await _read_after_sending(reader, writer)
    writer.transport.abort()

    assert received.startswith(b"HTTP/1.1 413 ")


async def test_without_lingering_an_early_answer_is_lost() -> None:
    """The control: uvicorn's own protocol closes at once."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        config = uvicorn.Config(_refuses_at_once, http="httptools", lifespan="off", log_config=None)
        uvicorns = uvicorn.Server(config)
        serving_it = asyncio.create_task(uvicorns.serve([listening]))
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(JSON_HEAD + b"Content-Length: 30000000\r\n\r\n")

        with pytest.raises(ConnectionError):
            await _read_after_sending(reader, writer)

        writer.transport.abort()
        uvicorns.should_exit = True
        await serving_it


async def _read_after_sending(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    for _ in range(300):
        writer.write(b"x" * 10_000)
        await writer.drain()
        await asyncio.sleep(0)
    async with asyncio.timeout(8):
        return await reader.read(65_536)


async def _refuses_at_once(_scope: Scope, _receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body"})


async def test_who_sends_without_reading_is_not_read_on(server: LiveServer) -> None:
    """Memory stays, and the connection ends, since nothing of the responses is read."""
    before = server.resident_bytes
    request = posted(b'{"query":"{ channels { id name entrySteps { order } } }"}')
    held = [await connect(server) for _ in range(20)]

    async def push(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(4):
                while True:
                    writer.write(request * 200)
                    await writer.drain()

    for reader, _ in held:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.gather(*(push(writer) for _, writer in held))
    grown = server.resident_bytes - before
    for _, writer in held:
        writer.transport.abort()

    assert grown < 40_000_000


@pytest.fixture(scope="module")
def sign_in_token(server: LiveServer) -> str:
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        return sign_in(http, "active")


def test_aborted_connections_are_no_errors(server: LiveServer) -> None:
    """The last of the module: what all tests above left in the log."""
    log = server.log

    assert "Traceback" not in log
    assert '"level": "error"' not in log
