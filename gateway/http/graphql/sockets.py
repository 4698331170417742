"""Operations over `graphql-transport-ws`. Admission is the same as over HTTP."""

import contextlib
from typing import Any, Protocol, cast

import structlog
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    Message,
    SubscribeMessage,
)

from core.db import DatabaseUnavailable
from gateway.http.admission import Admission, Prepared, admitted_document, parameters
from gateway.http.edge import BadRequest, authenticate, session_unreadable
from gateway.resolvers.context import Context, Unauthenticated

MAX_ID_LENGTH = 128
MAX_OPERATIONS = 32
"""Running at once on one socket: responses of more would pile up for a client that does not read."""
SOCKET_KEY = "card_gateway.socket"
"""Key in the scope: the server's `Socket`. Without a server there is none."""

log = structlog.get_logger("graphql")


class Socket(Protocol):
    def set_in_use(self, in_use: bool) -> None:
        """A WebSocket that is not in use gives way to others, and ends after a while."""


class _HasAdmission(Protocol):
    admission: Admission


class SocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        websocket = cast("ASGIWebSocketAdapter", self.websocket).ws
        self._socket: Socket | None = websocket.scope.get(SOCKET_KEY)
        self._running = 0

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        self._running += 1
        self._tell_use()
        try:
            await self._authenticate()
            await super().run_operation(operation)
        except DatabaseUnavailable:
            log.error("graphql.database_unavailable")
            error: Any = session_unreadable().error(self.context.language)
            await operation.send_operation_message(
                {"type": "error", "id": operation.id, "payload": [error]}
            )
        except WebSocketDisconnected:
            pass  # the client is gone
        finally:
            self._running -= 1
            self._tell_use()

    async def _authenticate(self) -> None:
        """A socket may outlive its session, so each operation on it authenticates again."""
        context, caller = self.context, None
        if context.token is None:
            return
        with contextlib.suppress(Unauthenticated):
            caller = await authenticate(context, context.token, context.claimed_channel)
        context.caller = caller

    async def handle_task_exception(self, error: Exception) -> None:
        if not isinstance(error, WebSocketDisconnected):
            await super().handle_task_exception(error)

    def _tell_use(self) -> None:
        if self._socket is not None:
            self._socket.set_in_use(self._running > 0 or self.context.caller is not None)

    async def send_message(self, message: Message) -> None:
        """As over HTTP, a result has no `data` if the operation was not executed."""
        payload: Any = message.get("payload")
        is_empty = message["type"] == "next" and payload["data"] is None
        if is_empty and not any("path" in error for error in payload.get("errors", ())):
            del payload["data"]
        await super().send_message(message)

    async def handle_message(self, message: Message) -> None:
        given: object = message
        if not isinstance(given, dict) or not _is_well_formed(given):
            await self.handle_invalid_message("Failed to parse message")
            return
        await super().handle_message(message)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """An operation that is not admitted gets an `error` message; the socket stays open."""
        if not self.connection_acknowledged:
            await super().handle_subscribe(message)
            return
        try:
            read, prepared = self._admit(message["payload"])
            errors: list[Any] = [error.formatted for error in prepared.errors]
        except BadRequest as refusal:
            errors = [refusal.error(self.context.language)]
        if errors:
            await self.websocket.send_json(
                {"id": message["id"], "type": "error", "payload": errors}
            )
            return
        before = admitted_document.set(prepared)
        try:
            await super().handle_subscribe(cast("SubscribeMessage", {**message, "payload": read}))
        finally:
            # Its task has a copy; the socket's would hold the document.
            admitted_document.reset(before)

    def _admit(self, payload: Any) -> tuple[dict[str, Any], Prepared]:
        """The payload as it was read, with the text of the document."""
        parsed = parameters.from_object(payload)
        admission = cast("_HasAdmission", self.view).admission
        context = self.context
        admission.budgets.require_budget(context.address)
        admitted = admission.admit(
            parsed, context.address, context.token, exempt=context.may_run_untrusted
        )
        read = {
            "query": admitted.prepared.text,
            "operationName": parsed.operation_name,
            "variables": parsed.variables,
            "extensions": parsed.extensions,
        }
        return read, admitted.prepared


def _is_well_formed(message: dict[Any, Any]) -> bool:
    kind, id_ = message.get("type"), message.get("id")
    if not isinstance(kind, str):
        return False
    if kind in ("subscribe", "complete"):
        return isinstance(id_, str) and 0 < len(id_) <= MAX_ID_LENGTH
    return True
