"""Operations over `graphql-transport-ws`. Admission is the same as over HTTP."""

from typing import Any, Protocol, cast

from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    Message,
    SubscribeMessage,
)

from gateway.http.admission import Admission, Prepared, admitted_document, parameters
from gateway.http.edge import BadRequest
from gateway.resolvers.context import Context

MAX_ID_LENGTH = 128


class _HasAdmission(Protocol):
    admission: Admission


class SocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
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
            prepared = self._admit(message["payload"])
            errors: list[Any] = [error.formatted for error in prepared.errors]
        except BadRequest as refusal:
            errors = [refusal.error(self.context.language)]
        if errors:
            await self.websocket.send_json(
                {"id": message["id"], "type": "error", "payload": errors}
            )
            return
        payload = {**message["payload"], "query": prepared.text}
        before = admitted_document.set(prepared)
        try:
            await super().handle_subscribe(
                cast("SubscribeMessage", {**message, "payload": payload})
            )
        finally:
            # Its task has a copy; the socket's would hold the document.
            admitted_document.reset(before)

    def _admit(self, payload: Any) -> Prepared:
        parsed = parameters.from_object(payload)
        admission = cast("_HasAdmission", self.view).admission
        context = self.context
        admission.budgets.require_budget(context.address)
        admitted = admission.admit(
            parsed, context.address, context.token, exempt=context.may_run_untrusted
        )
        return admitted.prepared


def _is_well_formed(message: dict[Any, Any]) -> bool:
    kind, id_ = message.get("type"), message.get("id")
    if not isinstance(kind, str):
        return False
    if kind in ("subscribe", "complete"):
        return isinstance(id_, str) and 0 < len(id_) <= MAX_ID_LENGTH
    return True
