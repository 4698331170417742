"""Passes eligible requests from the socket to the fast path, and writes each response at once.

For every request uvicorn creates a scope, a cycle with an event, a task, and messages in both
directions; it checks response headers by regular expressions and writes head and body
separately. The fast path needs none of that: the request is buffered until its body is
complete, and the response is one write. Responses that complete in the same iteration of the
event loop are written together at its end. Any other request is passed to uvicorn unchanged.
"""

import asyncio
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.http.edge import ENDPOINT, Head
from gateway.http.server.fast_path import FastPath, FastPathRequest, FastPathResponse, eligible_head
from gateway.http.server.sequential import SequentialProtocol

FAST_PATH_KEY = "fast_path"
"""Key in the lifespan state of the application."""
_URL = ENDPOINT.encode()
DRAIN_SECONDS = 0.5
"""How long a stopping server still serves open connections. Their responses carry
`Connection: close`, so that requests already sent are answered."""
_FAILED = FastPathResponse(
    500, [(b"content-length", b"21"), (b"connection", b"close")], (), b"Internal Server Error"
)


class _Nothing:
    """An event without waiters."""

    def set(self) -> None:
        pass


class RequestSlot:
    """Replaces uvicorn's `RequestResponseCycle`, with the attributes that uvicorn uses."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")
    message_event = _Nothing()
    response_started = False

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False


class FastPathProtocol(SequentialProtocol):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._fast_path: FastPath | None = self.app_state.get(FAST_PATH_KEY)
        self._head: Head | None = None
        """The headers of a request for the fast path whose body is being read."""
        self._body = b""
        self._is_stopping = False

    def on_message_begin(self) -> None:
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._head = None

    def on_headers_complete(self) -> None:
        head = self._eligible_head()
        if head is None:
            self._begin()
            super().on_headers_complete()
        else:
            self._head, self._body = head, b""
            self.begin_body()

    def begin_cycle(self) -> None:
        super().begin_cycle()
        self._disable_keep_alive()

    def on_body(self, body: bytes) -> None:
        if self._head is None:
            super().on_body(body)
        else:
            self._body += body
            self.count_body(body)

    def on_message_complete(self) -> None:
        head, self._head = self._head, None
        if head is None or self._fast_path is None:
            super().on_message_complete()
            return
        admitted = self._fast_path.admit(head, self.client[0] if self.client else "", self._body)
        if admitted is None:
            self._begin()
            self.begin_cycle()
            HttpToolsProtocol.on_body(self, self._body)
            super().on_message_complete()
            return
        self.end_body()
        slot = RequestSlot(keep_alive=self.parser.should_keep_alive())
        self.cycle = slot  # type: ignore[assignment]
        self._disable_keep_alive()
        task = self.loop.create_task(self._serve(self._fast_path, slot, admitted))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def shutdown(self) -> None:
        """Closes after the current or next response, or after `DRAIN_SECONDS` without one."""
        self._is_stopping = True
        self._disable_keep_alive()
        self.loop.call_later(DRAIN_SECONDS, self._close)

    def _disable_keep_alive(self) -> None:
        if self._is_stopping and self.cycle is not None:
            self.cycle.keep_alive = False

    def _close(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.close()

    def _eligible_head(self) -> Head | None:
        """The headers of a request for the fast path; None for all others."""
        if (
            self._fast_path is None
            or self.url != _URL
            or self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
            or self.limit_concurrency is not None
        ):
            return None
        return eligible_head(self.headers)

    def _begin(self) -> None:
        """Starts the request in uvicorn, with the headers received so far."""
        url, headers, expected = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expected
        self.headers.extend(headers)

    async def _serve(
        self, fast_path: FastPath, slot: RequestSlot, admitted: FastPathRequest
    ) -> None:
        try:
            response = await fast_path.run(admitted)
        except asyncio.CancelledError:
            self.transport.abort()
            raise
        except Exception as error:
            self.logger.error("Exception in the fast path", exc_info=error)
            response, slot.keep_alive = _FAILED, False
        if self.flow.write_paused and not slot.disconnected:
            await self.flow.drain()
        self.loop.call_soon(self._send, slot, response)

    def _send(self, slot: RequestSlot, response: FastPathResponse) -> None:
        """Called at the end of the iteration of the event loop."""
        if slot.disconnected:
            return
        lines = [
            STATUS_LINE[response.status],
            _lines(tuple(self.server_state.default_headers)),
            *[b"%b: %b\r\n" % pair for pair in response.headers],
            _lines(response.always),
            b"\r\n" if slot.keep_alive else b"connection: close\r\n\r\n",
            response.body,
        ]
        self.transport.write(b"".join(lines))
        slot.response_complete = True
        if not slot.keep_alive:
            self.close()
        self.on_response_complete()


@lru_cache(maxsize=8)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])
