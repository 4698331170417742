"""WebSockets: refused handshakes are answered, and who uses nothing gives way and ends."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from gateway.http.graphql import SOCKET_KEY
from gateway.http.server.connections import Connections
from gateway.http.server.sequential import BAD_REQUEST, BUSY

CLOSE_SECONDS = 2.0
"""How long a closing WebSocket waits for the peer's close frame."""
IDLE_SECONDS = 60.0
"""How long a WebSocket without a session or a running operation stays open."""
MAX_FRAGMENTS = 1_000
"""Frames of one message."""
_TRY_AGAIN_LATER, _MESSAGE_TOO_BIG, _NORMAL = 1013, 1009, 1000


class TimedWebSockets(WebSocketsSansIOProtocol):
    def __init__(self, *arguments: Any, connections: Connections, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._connections = connections
        self._address: str | None = None
        self._since = 0.0
        self.close_timeout = CLOSE_SECONDS

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._since = self.loop.time()
        self._connections.wait(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.leave(self, self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.disconnected:
            return
        if self.handshake_initiated and not self.handshake_complete:
            self._refuse(BAD_REQUEST)  # frames before the response (RFC 6455 section 4.1)
            return
        super().data_received(data)
        if not (self.handshake_initiated or self.transport.is_closing()):
            # The whole head was received, and is no handshake.
            self._refuse(b"".join(self.conn.data_to_send()) or BAD_REQUEST)

    def handle_connect(self, event: Request) -> None:
        """The place is one of the client's address, also behind a proxy."""
        headers = [
            (name.lower().encode(), value.encode()) for name, value in event.headers.raw_items()
        ]
        peer = self.client[0] if self.client else ""
        address = self._connections.proxies.client(peer, headers)
        if not self._connections.take_place(self, address):
            self.handshake_initiated = True
            self._refuse(BUSY)
            return
        self._address = address
        super().handle_connect(event)
        if not self.close_sent:
            self.scope[SOCKET_KEY] = self  # type: ignore[literal-required]

    def set_in_use(self, in_use: bool) -> None:
        """Called by the application when an operation begins or ends."""
        if self.disconnected:
            return
        self._since = self.loop.time()
        if in_use:
            self._connections.serve(self)
        else:
            self._connections.wait(self)

    def handle_cont(self, event: Any) -> None:
        super().handle_cont(event)
        if len(self.frames) > MAX_FRAGMENTS:
            self.frames = []
            self._end(_MESSAGE_TOO_BIG)

    def pause_writing(self) -> None:
        """A client that does not read cannot make the server answer more pings."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    async def receive(self) -> Any:
        await self.writable.wait()
        return await super().receive()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._connections.wait(self)

    def is_late(self, now: float) -> bool:
        if self.transport.is_closing() or self.close_sent:
            return now - self._since > CLOSE_SECONDS
        allowed = IDLE_SECONDS if self.handshake_complete else self._connections.seconds
        return now - self._since > allowed

    def close_late(self) -> None:
        if self.handshake_complete and not (self.close_sent or self.transport.is_closing()):
            self._end(_NORMAL)
        else:
            self.transport.abort()

    def give_way(self) -> None:
        if self.handshake_complete and not (self.close_sent or self.transport.is_closing()):
            self._end(_TRY_AGAIN_LATER)
        else:
            self.transport.abort()

    def _end(self, code: int) -> None:
        """Sends a close frame, and tells the application that the client is gone."""
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
        self.conn.send_close(code)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._close()

    def _refuse(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.handshake_complete = True
        self._close()

    def _close(self) -> None:
        self.close_sent = self.disconnected = True
        self._since = self.loop.time()
        self.transport.close()
        self._connections.wait(self)
