"""One request of a connection at a time: its head, its body, its response, then the next one.

uvicorn's protocol gives the parser whatever has arrived. Then requests that a client sends
without reading the responses pile up; junk behind a request is refused before the request is
answered; trailers become headers; and `Upgrade: h2c` loses the body. Here the parser never sees
more than one request: a complete head first, then the body up to its end. What follows stays
unread until the response has been written.
"""

import re
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.http.server.connections import SWEEP_SECONDS, Connections

MAX_HEAD_BYTES = 65_536
MAX_HEADERS = 128
MAX_FRAMING_BYTES = 8_192
"""Chunk sizes, their extensions and trailers between two pieces of a body, or after the last."""
MAX_SMALL_CHUNKS = 1_000
AVERAGE_CHUNK_BYTES = 64
"""Chunks beyond the first ones must be that long on average, since each costs some microseconds."""
PROGRESS_BYTES = 1_024
"""A packet of a body from which on its connection does not count as waiting since its head."""
MAX_UNREAD_BYTES = 65_536
LINGER_SECONDS = 5.0
"""How long a closing connection reads on, so that the client gets to read the response."""

_HEAD, _BODY, _RESPONSE, _IDLE, _CLOSING = range(5)

_HEAD_END = b"\r\n\r\n"
_UPGRADE = re.compile(rb"\r\nupgrade:([^\r\n]*)", re.IGNORECASE)
_REQUEST_LINE = re.compile(rb"([A-Z-]+) [!\"$-~]+ HTTP/1\.([01])\r\n")
"""Stricter than the parser: no fragment, no other version, nothing before it."""
_HAS_BODY = re.compile(
    rb"\r\n(?:content-length:(?![ \t]*0[ \t]*\r\n)|transfer-encoding:)", re.IGNORECASE
)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[^\r\n]*)?\r\n")
_NOT_A_HEAD = re.compile(rb"[^A-Z]|[^\r\n]*\n")
"""Decides over the first packet, so that TLS or a bare LF is refused at once."""

_CLOSE = b"content-length: 0\r\nconnection: close\r\n\r\n"
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n" + _CLOSE
_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\n" + _CLOSE
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _CLOSE
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + _CLOSE


class UnsupportedEncoding(Exception):
    """A body that is not framed by one `chunked` (RFC 9112 section 6.1); the parser reports it."""


class _Transport:
    """The transport of one request cycle: closing it lets the client read the response first."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, protocol: "SequentialProtocol") -> None:
        self.write: Callable[[bytes], None] = protocol.transport.write
        self.is_closing: Callable[[], bool] = protocol.is_closing
        self.close: Callable[[], None] = protocol.close


class SequentialProtocol(HttpToolsProtocol):
    def __init__(self, *arguments: Any, connections: Connections, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._connections = connections
        self._address: str | None = None
        """The address of which this connection takes a place."""
        self._stage = _HEAD
        self._since = 0.0
        """When the stage began, or when the client last read a part of the response."""
        self._received = 0
        """Bytes of the head or the body so far."""
        self._unread = b""
        self._searched = 0
        """Up to here, what is unread holds no end of a head."""
        self._is_full = False
        """Whether reading is paused because of what is unread."""
        self._body_left: int | None = None
        """None for a chunked body."""
        self._chunk_left = 0
        """What is left of a chunk, with the line end behind it; 0 where a size or trailer follows."""
        self._line = b""
        """What has arrived of a chunk's size line."""
        self._is_last_chunk = False
        self._chunks = 0
        self._framing = 0
        self._is_answered = False
        """Whether the response was complete before the body was."""
        self._has_ended = False
        """Whether the client has ended its side."""
        self._unwritten = 0
        """Bytes that the client had not read when the connection was last looked at."""

    # --- reading ----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        stage = self._stage
        if stage == _CLOSING:
            return
        self._unread = self._unread + data if self._unread else data
        if stage == _IDLE and not self.flow.write_paused:
            self._begin_head()
        if self._stage in (_HEAD, _BODY):
            self._read()
        if self._unread or self._is_full:
            self._limit_unread()
        if self._stage == _RESPONSE:
            if not self.flow.write_paused:
                self._connections.serve(self)
        elif self._stage in (_HEAD, _BODY) and (
            stage == _IDLE or (stage == _BODY and len(data) >= PROGRESS_BYTES)
        ):
            self._connections.wait(self)

    def _begin_head(self) -> None:
        self._stage, self._since = _HEAD, self.loop.time()
        self._received = self._searched = 0

    def _read(self) -> None:
        """Parses up to the end of the request."""
        data, at = self._unread, 0
        while at < len(data) and self._stage in (_HEAD, _BODY):
            end = self._end_of_piece(data, at)
            if end == at:
                break
            self._parse(data[at:end] if at or end < len(data) else data)
            at = end
        self._unread = b"" if self._stage == _CLOSING else data[at:]
        if at < len(data):
            successor: Any = self.transport.get_protocol()
            if successor is not self:
                successor.data_received(data[at:])

    def _end_of_piece(self, data: bytes, at: int) -> int:
        """The end of what the parser may see next; `at` if that has not arrived yet."""
        if self._stage == _BODY:
            if self._body_left is not None:
                return min(at + self._body_left, len(data))
            if self._chunk_left:
                return min(at + self._chunk_left, len(data))
            # A chunked body ends with a line, and so with one of these pieces.
            return data.find(b"\n", at) + 1 or len(data)
        end = data.find(_HEAD_END, at + self._searched)
        length = (len(data) if end < 0 else end) - at
        if length > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif end >= 0:
            return end + len(_HEAD_END)
        elif not self._received and _NOT_A_HEAD.match(data, at):
            self._refuse(BAD_REQUEST)
        self._received, self._searched = length, max(0, length - len(_HEAD_END) + 1)
        return at

    def _parse(self, piece: bytes) -> None:
        if self._stage == _BODY:
            if not self._count(piece):
                self._refuse(BAD_REQUEST)
                return
        elif (head := self._checked(piece)) is not None:
            piece = head
        else:
            return
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self.handle_websocket_upgrade()
        except httptools.HttpParserError:
            self._refuse(BAD_REQUEST)
        if self._framing > MAX_FRAMING_BYTES:
            self._refuse(_TOO_LARGE)

    def _count(self, piece: bytes) -> bool:
        """False for chunks that are not framed strictly, or too small."""
        if self._body_left is not None:
            self._body_left -= len(piece)
            return True
        self._framing += len(piece)
        if self._chunk_left:
            self._chunk_left -= len(piece)
            return True
        self._line += piece
        if self._is_last_chunk or not self._line.endswith(b"\n"):
            return True
        size = _CHUNK_SIZE.fullmatch(self._line)
        self._line = b""
        if size is None:
            return False
        self._chunks += 1
        length = int(size[1], 16)
        self._is_last_chunk = length == 0
        self._chunk_left = length + 2 if length else 0
        return self._chunks <= MAX_SMALL_CHUNKS + self._received // AVERAGE_CHUNK_BYTES

    def _checked(self, head: bytes) -> bytes | None:
        """The head without upgrades that are not to a WebSocket (RFC 9110 section 7.8).

        None if it was refused.
        """
        if head.count(b"\r\n") > MAX_HEADERS + 2:
            self._refuse(_TOO_LARGE)
            return None
        line = _REQUEST_LINE.match(head)
        is_folded = b"\r\n " in head or b"\r\n\t" in head
        if line is None or line[1] == b"CONNECT" or is_folded:
            self._refuse(BAD_REQUEST)
            return None
        if b"upgrade" not in head.lower():
            return head
        offers = {
            offer.strip().lower() for line in _UPGRADE.findall(head) for offer in line.split(b",")
        }
        if b"websocket" not in offers or line[2] == b"0":
            return _UPGRADE.sub(b"", head)
        if line[1] != b"GET" or _HAS_BODY.search(head):
            self._refuse(BAD_REQUEST)
            return None
        return head

    def _limit_unread(self) -> None:
        """Pauses reading, or resumes it. The application resumes only what uvicorn has paused."""
        is_full = len(self._unread) > MAX_UNREAD_BYTES
        if is_full and not self._is_full:
            self.transport.pause_reading()
        elif self._is_full and not is_full and not self.flow.read_paused:
            self.transport.resume_reading()
        self._is_full = is_full

    # --- what the parser finds --------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._stage == _BODY:
            return  # a trailer, which may be dropped (RFC 9110 section 6.5.1)
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        # The parser leaves tabs around a value (RFC 9110 section 5.5).
        self.headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.begin_body()
        if not self.parser.should_upgrade():
            self.begin_cycle()

    def begin_body(self) -> None:
        self._stage, self._received, self._framing, self._body_left = _BODY, 0, 0, 0
        self._chunk_left, self._chunks, self._line = 0, 0, b""
        self._is_answered = self._is_last_chunk = False
        for name, value in self.headers:
            if name == b"content-length":
                self._body_left = int(value)
            elif name == b"transfer-encoding":
                if value.lower() != b"chunked" or self._body_left is None or not self._knows_1_1():
                    raise UnsupportedEncoding
                self._body_left = None

    def _knows_1_1(self) -> bool:
        return self.parser.get_http_version() == "1.1"

    def begin_cycle(self) -> None:
        """Starts the ASGI application."""
        super().on_headers_complete()
        self.cycle.transport = _Transport(self)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self.count_body(body)
        super().on_body(body)

    def count_body(self, body: bytes) -> None:
        self._received += len(body)
        self._framing = 0

    def on_message_complete(self) -> None:
        self.end_body()
        if not self.parser.should_upgrade():
            if not self.parser.should_keep_alive():
                self.cycle.keep_alive = False  # the parser stops here, also after a trailer
            super().on_message_complete()

    def end_body(self) -> None:
        self._stage = _RESPONSE
        if self._is_answered:
            self._become_idle()

    def handle_websocket_upgrade(self) -> None:
        """The WebSocket takes a place of its own."""
        self._connections.leave(self, self._address)
        self._address, self._stage = None, _CLOSING
        self.scope["method"] = "GET"
        super().handle_websocket_upgrade()

    # --- the response -----------------------------------------------------------------------

    def _unset_keepalive_if_required(self) -> None:
        """`Connections` closes idle connections; uvicorn sets a timer after each request."""

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._stage == _RESPONSE:
            self._become_idle()
        elif self._stage == _BODY:
            self._is_answered, self._since = True, self.loop.time()

    def _become_idle(self) -> None:
        self._stage, self._since = _IDLE, self.loop.time()
        self._connections.wait(self)
        if self._unread:
            self.loop.call_soon(self._read_next)

    def _read_next(self) -> None:
        """Reads a request that arrived before the response to the last one was written."""
        if self._stage != _IDLE or not self._unread or self.flow.write_paused:
            return
        if self.transport.is_closing():
            return
        self._begin_head()
        self._read()
        self._limit_unread()
        if self._stage == _RESPONSE:
            self._connections.serve(self)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unwritten, self._since = self.transport.get_write_buffer_size(), self.loop.time()
        self._connections.wait(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stage == _RESPONSE:
            self._connections.serve(self)
        self._read_next()

    # --- the connection ---------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._since = self.loop.time()
        if self._has_place():
            self._connections.wait(self)
        else:
            transport.write(BUSY)
            transport.close()

    def _has_place(self) -> bool:
        if not self._connections.has_room(len(self.connections)):
            return False
        if not self.client:
            return True
        proxies = self._connections.proxies
        address = proxies.client(self.client[0], ())
        if proxies.trusts(address):
            return True
        is_admitted = self._connections.take_place(self, address)
        self._address = address if is_admitted else None
        return is_admitted

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.leave(self, self._address)
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A client that has only ended its own side still reads the response."""
        if self._stage != _RESPONSE or self.cycle.response_started:
            return None
        self.cycle.keep_alive = False
        self._has_ended = True
        return True

    def is_late(self, now: float) -> bool:
        unwritten = self.transport.get_write_buffer_size()
        if unwritten < self._unwritten:
            self._since = now
        self._unwritten = unwritten
        allowed = self._connections.seconds
        if self._stage == _CLOSING or (self._stage == _BODY and self._is_answered):
            allowed = LINGER_SECONDS
        elif self._stage == _IDLE and not unwritten:
            allowed = self.timeout_keep_alive
        elif self._stage == _BODY:
            if self.flow.read_paused:
                self._since += SWEEP_SECONDS  # the application is slow, not the client
            allowed += self._received / self._connections.min_rate
        return now - self._since > allowed

    def close_late(self) -> None:
        if self._stage in (_HEAD, _BODY) and self._received and not self._is_answered:
            self._refuse(_TIMEOUT)
        elif self._stage in (_HEAD, _IDLE) and not self._unwritten:
            self.close()
        else:
            self.transport.abort()

    give_way = close_late

    def is_closing(self) -> bool:
        return self._stage == _CLOSING or self.transport.is_closing()

    def close(self) -> None:
        """If the client is still sending, reads on for a while: a reset connection would lose the
        response (RFC 9112 section 9.6)."""
        if self.is_closing():
            return
        is_sending = self._stage in (_HEAD, _BODY) or bool(self._unread)
        is_sending = is_sending and not self._has_ended
        self._stage, self._since, self._unread = _CLOSING, self.loop.time(), b""
        if is_sending and self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._limit_unread()
        else:
            self.transport.close()
        self._connections.wait(self)

    def _refuse(self, answer: bytes) -> None:
        if self.is_closing():
            self._stage = _CLOSING  # the client is gone, and what it sent is not read on
            return
        if self._stage == _BODY and self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(answer)
        self.close()
