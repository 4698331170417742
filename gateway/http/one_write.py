"""An answer in one write.

uvicorn checks every header of every answer by regular expressions and writes head and body
apart. Whoever has both at once, made of what is known to be right, hands them to the protocol
that stands in the scope. Pipelined requests and clients that read too slowly are left to uvicorn.
"""

from collections.abc import MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.http.patience import PatientProtocol

PROTOCOL_KEY = "card_gateway.protocol"


class OneWriteProtocol(PatientProtocol):
    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        scope: MutableMapping[str, Any] = self.scope  # type: ignore[assignment]
        scope[PROTOCOL_KEY] = self

    def answer(
        self, scope: MutableMapping[str, Any], status: int, head: bytes, body: bytes
    ) -> bool:
        """`head` is the headers' lines. False where it must be sent as usual; then nothing was."""
        cycle = self.cycle
        if (
            cycle is None
            or cycle.scope is not scope
            or cycle.response_started
            or cycle.access_log
            or self.flow.write_paused
        ):
            return False
        if cycle.disconnected:
            return True
        cycle.response_started = cycle.response_complete = True
        lines = [STATUS_LINE[status]]
        for name, value in cycle.default_headers:
            lines += (name, b": ", value, b"\r\n")
        lines.append(head)
        lines.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
        lines.append(body)
        self.transport.write(b"".join(lines))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True
