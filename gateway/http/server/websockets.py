"""WebSockets: refused handshakes are answered, and who uses nothing gives way and ends."""

from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from gateway.http.graphql import SOCKET_KEY
from gateway.http.server.connections import Connections
from gateway.http.server.sequential import BAD_REQUEST, BUSY

CLOSE_SECONDS = 2.0
"""How long a closing WebSocket waits for the peer's close frame."""
IDLE_SECONDS = 60.0
"""How long a WebSocket without a session or a running operation stays open."""
MAX_FRAMES, FRAMES_PER_SECOND = 200, 50.0
"""At once, and in the long run; of a large frame, each 2 kB count as one. A page sends a few a minute."""
_FRAME_BYTES = 2_048
_SLICE_BYTES = 4_096
_NORMAL, _INVALID_TEXT, _POLICY, _TRY_AGAIN_LATER = 1000, 1007, 1008, 1013


class TimedWebSockets(WebSocketsSansIOProtocol):
    def __init__(self, *arguments: Any, connections: Connections, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._connections = connections
        self._address: str | None = None
        self._since = 0.0
        self._frames_left = float(MAX_FRAMES)
        self._refilled_at = self.loop.time()
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
        for start in range(0, len(data), _SLICE_BYTES):
            super().data_received(data[start : start + _SLICE_BYTES])
            if self.close_sent or self.disconnected:
                return
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

    def handle_events(self) -> None:
        if self.handshake_complete and not self._may_send(self.conn.events):
            self.conn.events_received()
            self._end(_POLICY)
            return
        super().handle_events()

    def _may_send(self, events: Sequence[object]) -> bool:
        """Counts frames, which cost the server up to ten microseconds each, whatever they hold."""
        now = self.loop.time()
        refilled = self._frames_left + (now - self._refilled_at) * FRAMES_PER_SECOND
        spent = sum(
            1 + len(event.data) // _FRAME_BYTES for event in events if isinstance(event, Frame)
        )
        self._frames_left, self._refilled_at = min(MAX_FRAMES, refilled) - spent, now
        return self._frames_left >= 0

    def send_receive_event_to_app(self) -> None:
        """uvicorn logs text that is not UTF-8 as an error of the server."""
        try:
            if self.curr_msg_data_type == "text":
                b"".join(self.frames).decode()
        except UnicodeDecodeError:
            self._end(_INVALID_TEXT)
            return
        super().send_receive_event_to_app()

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

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True  # refused, which is no error

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._connections.wait(self)

    def is_late(self, now: float) -> bool:
        if self._is_ending():
            return now - self._since > CLOSE_SECONDS
        allowed = IDLE_SECONDS if self.handshake_complete else self._connections.seconds
        return now - self._since > allowed

    def close_late(self) -> None:
        self._end_or_abort(_NORMAL)

    def give_way(self) -> None:
        self._end_or_abort(_TRY_AGAIN_LATER)

    def _is_ending(self) -> bool:
        return self.close_sent or self.transport.is_closing()

    def _end_or_abort(self, code: int) -> None:
        if self.handshake_complete and not self._is_ending():
            self._end(code)
        else:
            self.transport.abort()

    def _end(self, code: int) -> None:
        """Sends a close frame, and tells the application that the client is gone."""
        if self.close_sent:
            return
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
