"""Read timeouts and the connection limit, against slow clients (slowloris).

uvicorn has no read timeout, so a client that sends a byte now and then keeps a socket for ever.
Here the head of a request must be complete within `seconds`, and its body must arrive at
`min_rate` after a grace period of the same length. At the connection limit, a new connection
replaces the one that has been reading for the longest time.

Connections in the middle of a request are checked once a second; a request that arrives in
one piece costs a few assignments.
"""

import asyncio
import resource
from dataclasses import dataclass, field
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

SWEEP_SECONDS = 1.0
WEBSOCKET_CLOSE_SECONDS = 2.0
"""How long a closing WebSocket waits for the peer's close frame."""
MAX_HEAD_BYTES = 65_536
RESERVED_FILES = 256
"""File descriptors for the database, pictures and calls to partners."""

_IDLE, _HEAD, _BODY = range(3)
_CLOSING = b"content-length: 0\r\nconnection: close\r\n\r\n"
_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\n" + _CLOSING
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _CLOSING
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + _CLOSING

log = structlog.get_logger("connections")


@dataclass(slots=True)
class ReadTimeouts:
    """Shared by all connections of a process. `min_rate` is in bytes per second."""

    seconds: float
    min_rate: int
    max_connections: int
    _reading: "dict[TimedProtocol, None]" = field(default_factory=dict)
    _timer: asyncio.TimerHandle | None = None

    def watch(self, connection: "TimedProtocol") -> None:
        self._reading[connection] = None
        if self._timer is None:
            self._timer = connection.loop.call_later(SWEEP_SECONDS, self._sweep, connection.loop)

    def unwatch(self, connection: "TimedProtocol") -> None:
        self._reading.pop(connection, None)

    def make_room(self) -> bool:
        """Closes the connection that has been reading longest; False if none is reading."""
        slowest = next(iter(self._reading), None)
        if slowest is not None:
            slowest.close_slow()
        return slowest is not None

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        late = [connection for connection in self._reading if connection.is_late(now)]
        for connection in late:
            connection.close_slow()
        if late:
            log.info("connections.too_slow", closed=len(late))
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if self._reading else None


class TimedProtocol(HttpToolsProtocol):
    def __init__(self, *arguments: Any, timeouts: ReadTimeouts, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timeouts = timeouts
        self._stage = _HEAD
        self._since = 0.0
        self._received = 0
        self._is_watched = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        timeouts = self._timeouts
        if len(self.connections) > timeouts.max_connections and not timeouts.make_room():
            transport.write(_BUSY)
            transport.close()
            return
        self._since = self.loop.time()
        self._update_watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timeouts.unwatch(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._stage == _IDLE:
            self._stage, self._since, self._received = _HEAD, self.loop.time(), 0
        if self._stage == _HEAD:
            self._received += len(data)
        super().data_received(data)
        if self._stage == _HEAD and self._received > MAX_HEAD_BYTES:
            self._respond_and_close(_TOO_LARGE)
        if self._is_watched or self._stage != _IDLE:
            self._update_watch()

    def on_headers_complete(self) -> None:
        self.begin_body()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.count_body(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.end_body()
        super().on_message_complete()

    def begin_body(self) -> None:
        self._stage, self._received = _BODY, 0

    def count_body(self, body: bytes) -> None:
        self._received += len(body)

    def end_body(self) -> None:
        self._stage = _IDLE

    def handle_websocket_upgrade(self) -> None:
        self._stage = _IDLE
        super().handle_websocket_upgrade()

    def is_late(self, now: float) -> bool:
        if self._stage == _BODY and self.flow.read_paused:
            # The application is slow, not the client.
            self._since += SWEEP_SECONDS
        allowed = self._timeouts.seconds
        if self._stage == _BODY:
            allowed += self._received / self._timeouts.min_rate
        return now - self._since > allowed

    def close_slow(self) -> None:
        self._timeouts.unwatch(self)
        if self.cycle is None or self.cycle.response_complete:
            self._respond_and_close(_TIMEOUT if self._received else b"")
        else:
            self.transport.abort()

    def _respond_and_close(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()

    def _update_watch(self) -> None:
        """Watches the connection while a request is being received."""
        is_reading = self._stage != _IDLE and not self.transport.is_closing()
        if is_reading and not self._is_watched:
            self._timeouts.watch(self)
        elif self._is_watched and not is_reading:
            self._timeouts.unwatch(self)
        self._is_watched = is_reading


class TimedWebSockets(WebSocketsSansIOProtocol):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.close_timeout = WEBSOCKET_CLOSE_SECONDS


def connection_limit(wanted: int) -> int:
    """The number of connections that the system permits, after raising the soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        target = max(soft, wanted + RESERVED_FILES)
    else:
        target = min(hard, max(soft, wanted + RESERVED_FILES))
    if soft != resource.RLIM_INFINITY and target > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, target - RESERVED_FILES)
