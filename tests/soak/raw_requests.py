"""Raw requests from a grammar of HTTP/1.1: no request is seen that a reference parser does not see.

    .venv/bin/python -m tests.soak.raw_requests [--streams 100000] [--seed 1] [--sockets 20] [--control]

Each stream of bytes holds one to four requests, valid ones and odd ones: methods, targets,
versions, line ends, folding, lengths, chunks, trailers, upgrades, and junk in between. It is
given to the server's protocol in pieces, with an application that notes what it sees, and to
h11. The server may refuse more, but what it sees must be what h11 sees, in the same order.
Then the streams go to a running gateway, over that many sockets at once: it may grow by 50 MB,
and the p99 of honest clients is at most 500 ms. `--control` only gives the streams to uvicorn's own protocol, which must be found to differ.
"""

import argparse
import asyncio
import contextlib
import logging
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from bench.server import Server as Gateway
from gateway.http.edge import BadRequest, RawHeaders, TrustedProxies, read_head
from gateway.http.server import Connections, FastPathProtocol, TimedWebSockets
from tests.soak.honest import Honest, honest_clients

MAX_GROWTH_MB = 50
_TURNS = 12
"""Turns of the event loop after which a request that can be answered has been."""


@dataclass(frozen=True, slots=True)
class Seen:
    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


# --- the grammar ------------------------------------------------------------------------------

_LENGTH, _CHUNKED = b"Content-Length: %d\r\n", b"Transfer-Encoding: chunked\r\n"
_METHODS = (b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PATCH", b"TRACE")
_ODD_METHODS = (
    b"CONNECT",
    b"get",
    b"G ET",
    b"",
    b"GET\t",
    b"PRI",
    b"M-SEARCH",
    b"GE\x00T",
    b"\xc3\x9c",
)
_TARGETS = (b"/graphql", b"/", b"/a?b=c", b"http://gateway/graphql", b"/%00", b"/a;b")
_ODD_TARGETS = (
    b"*",
    b"",
    b"/a b",
    b"//",
    b"/\x00",
    b"/\xff",
    b"graphql",
    b"/a#b",
    b"/\t",
    b"http://",
)
_VERSIONS = (b"HTTP/1.1",)
_ODD_VERSIONS = (
    b"HTTP/1.0",
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"http/1.1",
    b"HTTP/1.1 ",
    b"HTTP/11",
    b"",
    b"HTTP/0.9",
)
_HEADERS = (
    b"Accept: application/json\r\n",
    b"X-Empty:\r\n",
    b"X-Spaces: \t a b \t\r\n",
    b"X-Obs: \xe7\xa4\xbe\r\n",
    b"Authorization: Bearer t\r\n",
    b"Content-Type: application/json\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade-Insecure-Requests: 1\r\n",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
)
_ODD_HEADERS = (
    b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n",
    b"Host: other\r\n",
    b"Host:\r\n",
    b"X-Folded: a\r\n b\r\n",
    b" X-Leading: a\r\n",
    b"X-Space : a\r\n",
    b"X\x00Nul: a\r\n",
    b"X-Nul: a\x00b\r\n",
    b"X-Cr: a\rb\r\n",
    b"X-Lf: a\n",
    b"X-Bell: \x07\r\n",
    b"X-Delete: \x7f\r\n",
    b": nameless\r\n",
    b"no colon\r\n",
    b"X(Paren): a\r\n",
    b"X-\xc3\xa4: a\r\n",
    b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    b"Upgrade: websocket\r\n",
    b"Connection: upgrade\r\n",
)
_ODD_LENGTHS = (
    b"+5",
    b"0x5",
    b"-1",
    b"5, 5",
    b"5,6",
    b"",
    b"5 5",
    b"9" * 30,
    b"05",
    b"5\t",
    b"1e1",
)
_ODD_ENCODINGS = (
    b"Chunked",
    b"chunked, chunked",
    b"gzip, chunked",
    b"chunked, gzip",
    b"identity",
    b"xchunked",
    b"chunked;q=1",
    b'"chunked"',
    b"\tchunked",
    b"chunked\x0b",
    b"",
)
_ODD_SIZES = (
    b"0x5",
    b"+5",
    b"5 ",
    b" 5",
    b"-5",
    b"g",
    b"",
    b"5;",
    b"5;a=b",
    b'5;a="\r\n"',
    b"f" * 17,
)
_LINE_ENDS = (b"\n", b"\r", b"\r\r\n", b"\n\r", b"")
_JUNK = (b"junk", b"\r\n", b"\r\n\r\n", b"\n", b"\x00", b"0\r\n\r\n", b"GET", b"\x16\x03\x01")


class Grammar:
    """`oddity` is how often a part is odd, compared to the default."""

    def __init__(self, seed: int, oddity: float = 1) -> None:
        self._random = random.Random(seed)
        self._oddity = oddity

    def stream(self) -> bytes:
        """Some requests behind each other, about one of them odd."""
        parts = []
        for _ in range(self._random.choice((1, 1, 2, 3, 4))):
            if self._is_odd(0.05):
                parts.append(self._one(_JUNK))
            parts.append(self._request())
        return b"".join(parts)

    def pieces(self, stream: bytes) -> Iterator[bytes]:
        if self._is(0.3):
            yield stream
            return
        at = 0
        longest = self._random.choice((1, 5, 40, 400))
        while at < len(stream):
            size = self._random.randint(1, longest)
            yield stream[at : at + size]
            at += size

    def _request(self) -> bytes:
        method = self._mostly(_METHODS, _ODD_METHODS)
        target = self._mostly(_TARGETS, _ODD_TARGETS)
        version = self._mostly(_VERSIONS, _ODD_VERSIONS)
        headers = [] if self._is_odd(0.03) else [b"Host: gateway\r\n"]
        headers += self._random.sample(_HEADERS, k=self._random.randint(0, 3))
        headers += [self._one(_HEADERS + _ODD_HEADERS)] if self._is_odd(0.1) else []
        framing, body = self._body()
        headers += framing
        self._random.shuffle(headers)
        head = b"%b %b %b\r\n%b\r\n" % (method, target, version, b"".join(headers))
        if self._is_odd(0.03):
            head = head.replace(b"\r\n", self._one(_LINE_ENDS), self._random.randint(1, 3))
        return head + body

    def _body(self) -> tuple[list[bytes], bytes]:
        body = bytes(self._random.choices(b'{"query":0}\r\n ', k=self._random.randint(0, 30)))
        kind = self._random.random()
        if kind < 0.3:
            return [], b""
        if kind < 0.6:
            if self._is_odd(0.1):
                return [b"Content-Length: %b\r\n" % self._one(_ODD_LENGTHS)], body
            headers = [_LENGTH % len(body)]
            if self._is_odd(0.05):
                headers.append(_LENGTH % self._random.choice((len(body), len(body) + 1, 0)))
            if self._is_odd(0.05):
                headers.append(_CHUNKED)
            return headers, body
        if self._is_odd(0.1):
            encoding = b"Transfer-Encoding: %b\r\n" % self._one(_ODD_ENCODINGS)
            return [encoding], self._chunks(body)
        return [_CHUNKED] * (2 if self._is_odd(0.03) else 1), self._chunks(body)

    def _chunks(self, body: bytes) -> bytes:
        framed = b""
        while body:
            size = self._random.randint(1, len(body))
            length = self._one(_ODD_SIZES) if self._is_odd(0.05) else b"%x" % size
            end = self._one(_LINE_ENDS) if self._is_odd(0.03) else b"\r\n"
            framed += length + end + body[:size]
            framed += self._one(_LINE_ENDS) if self._is_odd(0.02) else b"\r\n"
            body = body[size:]
        trailers = self._one(_HEADERS[:6]) if self._is(0.2) else b""
        trailers += self._one(_HEADERS + _ODD_HEADERS) if self._is_odd(0.05) else b""
        last = self._random.choice((b"0", b"0", b"0", b"00", b"0;x=y"))
        end = b"" if self._is_odd(0.02) else b"\r\n"
        return framed + last + b"\r\n" + trailers + end

    def _is(self, probability: float) -> bool:
        return self._random.random() < probability

    def _is_odd(self, probability: float) -> bool:
        return self._is(probability * self._oddity)

    def _one(self, options: tuple[bytes, ...]) -> bytes:
        return self._random.choice(options)

    def _mostly(self, usual: tuple[bytes, ...], odd: tuple[bytes, ...]) -> bytes:
        return self._one(odd) if self._is_odd(0.04) else self._one(usual)


# --- the reference ----------------------------------------------------------------------------


def seen_by_reference(stream: bytes) -> list[Seen]:
    """The complete requests that h11 finds, each answered before the next one is read."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    found: list[Seen] = []
    connection.receive_data(stream)
    try:
        while True:
            request = connection.next_event()
            if not isinstance(request, h11.Request):
                return found
            body = b""
            while isinstance(event := connection.next_event(), h11.Data):
                body += bytes(event.data)
            if not isinstance(event, h11.EndOfMessage):
                return found
            headers = tuple((bytes(name), bytes(value)) for name, value in request.headers)
            found.append(Seen(bytes(request.method), bytes(request.target), headers, body))
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is h11.MUST_CLOSE:
                return found
            connection.start_next_cycle()
    except h11.ProtocolError:
        return found


# --- the server -------------------------------------------------------------------------------


@dataclass
class Wire(asyncio.Transport):
    """A transport in memory. What the server writes is dropped."""

    protocol: Any = None
    is_strict: bool = True
    is_paused: bool = False
    closed: bool = False
    waiting: list[bytes] = field(default_factory=list)

    def write(self, data: Any) -> None:
        assert not (self.is_strict and self.closed and data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def get_write_buffer_size(self) -> int:
        return 0

    def get_protocol(self) -> Any:
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class Server:
    """Gives streams to the protocol, and notes what its application sees."""

    def __init__(self, *, control: bool = False) -> None:
        self._config = uvicorn.Config(
            self._app, interface="asgi3", proxy_headers=False, log_config=None, lifespan="off"
        )
        self._config.load()
        nobody = TrustedProxies((), "x-forwarded-for")
        self._connections = Connections(
            seconds=60, min_rate=1, limit=10, limit_per_address=10, proxies=nobody
        )
        self._is_control = control
        if control:
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._config.ws_protocol_class = self._socket  # type: ignore[assignment]
        self._state = ServerState()
        self._seen: list[Seen] = []

    async def seen(self, pieces: Iterator[bytes], *, ends_its_side: bool) -> list[Seen]:
        self._seen = []
        wire = Wire(is_strict=not self._is_control)
        protocol = wire.protocol = self._protocol()
        protocol.connection_made(wire)
        for piece in pieces:
            if wire.closed:
                break
            if wire.is_paused:
                await self._settled()
            wire.protocol.data_received(piece)
            await asyncio.sleep(0)
        if ends_its_side and not wire.closed and not wire.protocol.eof_received():
            wire.is_strict = False  # who answers does not know yet
            wire.close()
        await self._settled()
        if not self._is_control or not wire.closed:
            wire.protocol.connection_lost(None)
        await asyncio.sleep(0)
        return self._seen

    async def _settled(self) -> None:
        count = -1
        while count != len(self._seen):
            count = len(self._seen)
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    def _protocol(self) -> Any:
        if self._is_control:
            return HttpToolsProtocol(self._config, self._state, {})
        return FastPathProtocol(self._config, self._state, {}, connections=self._connections)

    def _socket(self, **named: Any) -> TimedWebSockets:
        return TimedWebSockets(**named, connections=self._connections)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        headers: RawHeaders = scope["headers"]
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        try:
            read_head(headers, scope["http_version"])
        except BadRequest:
            await _refuse(scope, send)
            return
        if scope["type"] == "websocket":
            self._seen.append(Seen(b"GET", target, tuple(headers), b""))
            await send({"type": "websocket.close"})
            return
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self._seen.append(Seen(scope["method"].encode(), target, tuple(headers), body))
        length = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": b""})


async def _refuse(scope: Any, send: Any) -> None:
    """As the edge does."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
        return
    close = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 400, "headers": close})
    await send({"type": "http.response.body", "body": b""})


def differences(ours: list[Seen], reference: list[Seen]) -> list[tuple[Seen, Seen | None]]:
    """What the server saw and the reference did not, or otherwise."""
    return [
        (seen, expected)
        for number, seen in enumerate(ours)
        if not _is_same(seen, expected := reference[number] if number < len(reference) else None)
    ]


def _is_same(seen: Seen, expected: Seen | None) -> bool:
    """Apart from an upgrade that was ignored, and the host of an absolute target."""
    if expected is None:
        return False
    return (seen.method, _path(seen.target), seen.body, _compared(seen.headers)) == (
        expected.method,
        _path(expected.target),
        expected.body,
        _compared(expected.headers),
    )


def _path(target: bytes) -> bytes:
    return target.removeprefix(b"http://gateway") or b"/"


def _compared(headers: tuple[tuple[bytes, bytes], ...]) -> list[tuple[bytes, bytes]]:
    """h11 lowers the case of the encoding."""
    return [
        (name, value.lower() if name == b"transfer-encoding" else value)
        for name, value in headers
        if name != b"upgrade"
    ]


async def compare(
    streams: int, seed: int, *, oddity: float = 1, control: bool = False
) -> tuple[int, int, list[tuple[bytes, Seen, Seen | None]]]:
    """Requests seen by the reference, those of them that the server saw, and differences."""
    grammar, server = Grammar(seed, oddity), Server(control=control)
    by_reference, by_server, found = 0, 0, []
    for number in range(streams):
        stream = grammar.stream()
        expected = seen_by_reference(stream)
        ours = await server.seen(
            grammar.pieces(stream), ends_its_side=bool(oddity) and not number % 3
        )
        by_reference += len(expected)
        by_server += len(ours)
        found += [(stream, *pair) for pair in differences(ours, expected)]
    return by_reference, by_server, found


async def attack(port: int, streams: int, seed: int, sockets: int) -> Honest:
    """Gives the streams to a gateway, beside honest clients."""
    grammar = Grammar(seed)
    left = iter(range(streams))
    async with honest_clients(port) as honest:
        await asyncio.gather(*(_send_streams(port, grammar, left) for _ in range(sockets)))
    return honest


async def _send_streams(port: int, grammar: Grammar, left: Iterator[int]) -> None:
    for _ in left:
        with contextlib.suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(grammar.stream())
                writer.write_eof()
                async with asyncio.timeout(20):
                    while await reader.read(65_536):
                        pass
            finally:
                writer.transport.abort()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--streams", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--sockets", type=int, default=20)
    options.add_argument("--control", action="store_true")
    given = options.parse_args()
    reference, server, found = asyncio.run(
        compare(given.streams, given.seed, control=given.control)
    )
    print(f"{given.streams} streams: h11 saw {reference} requests, the server {server}")
    for stream, seen, expected in found[:5]:
        print(f"  {stream!r}\n    server {seen}\n    h11    {expected}")
    print(f"{len(found)} seen that h11 does not see, or sees otherwise")
    if given.control:
        # The control passes by failing.
        raise SystemExit(not found)
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(Path(folder))
        gateway.start()
        try:
            asyncio.run(attack(gateway.port, 1_000, given.seed, given.sockets))
            before = gateway.memory_mb()
            honest = asyncio.run(attack(gateway.port, given.streams, given.seed, given.sockets))
            grown = gateway.memory_mb() - before
        finally:
            gateway.stop()
        errors = gateway.log.count('"level": "error"') + gateway.log.count("Traceback")
    print(f"a running gateway: memory grew by {grown:.0f} MB, {errors} errors in the log; {honest}")
    passed = not found and grown <= MAX_GROWTH_MB and not errors and honest.are_served
    raise SystemExit(not passed)


if __name__ == "__main__":
    main()
