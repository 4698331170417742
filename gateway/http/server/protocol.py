"""Plain requests from the socket to the fast lane and back, in one write.

For every request uvicorn makes a scope, a cycle with its event, a task, and messages both ways;
it checks each header of the answer by regular expressions and writes head and body apart. A plain
request needs none of that: it is kept until its body is whole, and the lane's answer is one write.
Answers that become ready in the same turn of the loop are written one after another at its end: a
client that is woken by the first takes the others while it is awake. Whatever turns out not to be
plain is handed to uvicorn as if it had just come.
"""

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.http.edge import ENDPOINT
from gateway.http.server.fast_path import FastPath, FastPathRequest, FastPathResponse, is_plain
from gateway.http.server.read_timeouts import PatientProtocol

FAST_PATH_KEY = "fast_path"
"""In the state that the application's lifespan hands to the server."""
_URL = ENDPOINT.encode()
_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"upgrade"})
"""Of requests by way of a proxy, and of those that leave HTTP: uvicorn reads them."""
LEAVING_SECONDS = 0.5
"""For which a server that stops still takes requests on open connections: what was sent before
the other side could know is answered, and told to come again elsewhere."""
_FAILED = FastPathResponse(
    500, [(b"content-length", b"21"), (b"connection", b"close")], (), b"Internal Server Error"
)


class _Nothing:
    """Nobody waits for a turn's messages."""

    def set(self) -> None:
        pass


class RequestSlot:
    """Stands where uvicorn has a cycle: what it and its connections ask of one."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")
    message_event = _Nothing()

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False


class FastPathProtocol(PatientProtocol):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._lane: FastPath | None = self.app_state.get(FAST_PATH_KEY)
        self._head: Mapping[bytes, bytes] | None = None
        """Of a plain request that is being read."""
        self._body = b""
        self._is_leaving = False
        self._idle_since: float | None = None

    def on_message_begin(self) -> None:
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._head = None

    def on_headers_complete(self) -> None:
        head = self._plain_head()
        if head is None:
            self._begin()
            super().on_headers_complete()
            self._disable_keep_alive()
        else:
            self._head, self._body = head, b""
            self.begin_body()

    def on_body(self, body: bytes) -> None:
        if self._head is None:
            super().on_body(body)
        else:
            self._body += body
            self.count_body(body)

    def on_message_complete(self) -> None:
        head, self._head = self._head, None
        if head is None or self._lane is None:
            super().on_message_complete()
            return
        admitted = self._lane.admit(head, self.client[0] if self.client else "", self._body)
        if admitted is None:
            self._begin()
            HttpToolsProtocol.on_headers_complete(self)
            self._disable_keep_alive()
            HttpToolsProtocol.on_body(self, self._body)
            super().on_message_complete()
            return
        self.end_body()
        slot = RequestSlot(keep_alive=self.parser.should_keep_alive())
        self.cycle = slot  # type: ignore[assignment]
        if self._is_leaving:
            self._disable_keep_alive()
        task = self.loop.create_task(self._serve(self._lane, slot, admitted))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _unset_keepalive_if_required(self) -> None:
        """A request has come. The timer runs on and looks again: an idle connection has one for all
        its requests, where uvicorn sets and cancels one for each."""
        self._idle_since = None

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_again(self.timeout_keep_alive)

    def _look_again(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return  # whoever answers the request that came sets it again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_again(left)
        else:
            self.timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Closes after the answer that is on its way or the next one, and at last without one."""
        self._is_leaving = True
        self._disable_keep_alive()
        self.loop.call_later(LEAVING_SECONDS, self._leave)

    def _disable_keep_alive(self) -> None:
        if self._is_leaving and self.cycle is not None:
            self.cycle.keep_alive = False

    def _leave(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _plain_head(self) -> Mapping[bytes, bytes] | None:
        """The headers of a request that may be plain. What comes while another is being answered
        is left to uvicorn's queue."""
        if (
            self._lane is None
            or self.url != _URL
            or self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
            or not (self.cycle is None or self.cycle.response_complete)
            or self.limit_concurrency is not None
        ):
            return None
        head = dict(self.headers)
        is_clear = len(head) == len(self.headers) and _FORWARDED.isdisjoint(head)
        return head if is_clear and is_plain(head) else None

    def _begin(self) -> None:
        """What uvicorn does when a request begins, with what has come of it since."""
        url, headers, expected = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expected
        self.headers.extend(headers)

    async def _serve(
        self, fast_path: FastPath, slot: RequestSlot, admitted: FastPathRequest
    ) -> None:
        try:
            answer = await fast_path.run(admitted)
        except asyncio.CancelledError:
            self.transport.abort()
            raise
        except Exception as error:
            self.logger.error("Exception in the fast lane", exc_info=error)
            answer, slot.keep_alive = _FAILED, False
        if self.flow.write_paused and not slot.disconnected:
            await self.flow.drain()
        self.loop.call_soon(self._send, slot, answer)

    def _send(self, slot: RequestSlot, answer: FastPathResponse) -> None:
        """At the end of the loop's turn."""
        if slot.disconnected:
            return
        lines = [
            STATUS_LINE[answer.status],
            _lines(tuple(self.server_state.default_headers)),
            *[b"%b: %b\r\n" % pair for pair in answer.headers],
            _lines(answer.always),
            b"\r\n" if slot.keep_alive else b"connection: close\r\n\r\n",
            answer.body,
        ]
        self.transport.write(b"".join(lines))
        slot.response_complete = True
        if not slot.keep_alive:
            self.transport.close()
        self.on_response_complete()


@lru_cache(maxsize=8)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])
