"""The short way for what front-ends send all day: a POST of JSON with a document that is known.

It takes an operation that has been judged before and has a plan, and does to it what the whole
way does, in the same order and by the same functions: origin, budgets, session, plan, masking.
It knows no other answer than the operation's: whatever is refused before, and whatever is not
as plain as that, goes the whole way with its body unread.

`FastPathProtocol` brings requests as they come from the socket; `by_asgi` those that reach the
application otherwise.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import orjson
from graphql import ExecutionResult, FieldNode, GraphQLError, OperationType
from msgspec import Struct
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from core.cards import ASKS, Prefetch
from core.db import DatabaseUnavailable
from core.kernel.refusals import Language
from gateway.compiled import KEPT_PLANS, Plan, Plans
from gateway.http.admission import Gate, RateLimitStatus, parameters
from gateway.http.edge import (
    CHANNEL_HEADER,
    DEVICE_HEADER,
    ENDPOINT,
    GRAPHQL_JSON,
    JSON,
    BadRequest,
    Origins,
    RawHeaders,
    authenticate,
    bearer_token,
    cors_headers,
    device_key,
    preferred_language,
)
from gateway.http.graphql import GraphQLView
from gateway.resolvers.context import Application, Context, Unauthenticated

MAX_BODY_BYTES = 65_536
KEPT_BODIES = 512
MAX_CACHED_BODY_BYTES = 4_096
_MORE_THAN_PLAIN = frozenset({b"idempotency-key", b"transfer-encoding", b"expect"})
"""Headers of requests that are remembered or read in more ways than here."""
_DEVICE, _CHANNEL = DEVICE_HEADER.encode(), CHANNEL_HEADER.encode()
_JSON_TYPES = (b"application/json", b"application/json; charset=utf-8")
_JSON, _GRAPHQL_JSON = JSON.encode(), f"{GRAPHQL_JSON}; charset=utf-8".encode()
_EXECUTOR = StrawberryGraphQLCoreExecutionContext
_BACKREF = GraphQLCoreConverter.DEFINITION_BACKREF


class Asked(Struct, frozen=True):
    """What the body of a plain request asks for. `expected` is what the operation reads first."""

    plan: Plan
    variables: dict[str, Any] | None
    extensions: dict[str, Any] | None
    cost: int
    expected: Prefetch | None


class FastPathRequest(Struct):
    """A plain request that may run."""

    headers: Mapping[bytes, bytes]
    asked: Asked
    context: Context
    token: str | None
    standing: RateLimitStatus


class FastPathResponse(Struct):
    """Of its headers `always` are the same for many; whoever wants them as lines makes them once."""

    status: int
    headers: RawHeaders
    always: tuple[tuple[bytes, bytes], ...]
    body: bytes


class FastPath:
    """Beside `whole_way`, the ASGI application. `headers` go with every answer of data; `shown`
    makes of an error what a client may read."""

    def __init__(
        self,
        application: Application,
        gate: Gate,
        origins: Origins,
        plans: Plans,
        view: GraphQLView,
        whole_way: ASGIApp,
        headers: RawHeaders,
        shown: Callable[[GraphQLError, Language], GraphQLError],
    ) -> None:
        self._application = application
        self._gate = gate
        self._origins = origins
        self._plans = plans
        self._view = view
        self._asgi_path = whole_way
        self._shown = shown
        self._asked: dict[bytes, Asked] = {}
        self._always = tuple(headers)
        self._json = ((b"content-type", _JSON), *headers)
        self._graphql_json = ((b"content-type", _GRAPHQL_JSON), *headers)

    def admit(
        self, headers: Mapping[bytes, bytes], address: str, body: bytes
    ) -> FastPathRequest | None:
        """None for what goes the whole way; then nothing was done or counted."""
        try:
            asked = self._asked.get(body) or self._read(body)
            if asked is None:
                return None
            context = Context(
                application=self._application,
                language=preferred_language(_text(headers, b"accept-language") or ""),
                address=address,
                caller=None,
            )
            if _DEVICE in headers:
                context.device_key = device_key(_text(headers, _DEVICE))
            if b"origin" in headers:
                context.channels = self._origins.channels_of(headers)
            token = bearer_token(_text(headers, b"authorization"))
            standing = self._gate.budgets.charge(address, token, asked.cost)
        except BadRequest:
            return None
        return FastPathRequest(headers, asked, context, token, standing)

    def _read(self, body: bytes) -> Asked | None:
        """A body without variables asks for the same every time, and is kept with what it asks."""
        given = parameters.from_json(body)
        prepared = self._gate.prepared.known(self._gate.documents.text_of(given))
        if prepared is None or prepared.errors or prepared.document is None:
            return None
        operation = prepared.operation(given.operation_name)
        plan = self._plans.plan(prepared.document, given.operation_name or None, _EXECUTOR)
        if plan is None:
            return None
        asked = Asked(plan, given.variables, given.extensions, operation.cost, prefetch_of(plan))
        if not (given.variables or given.extensions) and len(body) <= MAX_CACHED_BODY_BYTES:
            if len(self._asked) >= KEPT_BODIES:
                self._asked.clear()
            self._asked[body] = asked
        return asked

    async def run(self, admitted: FastPathRequest) -> FastPathResponse:
        headers, context, asked = admitted.headers, admitted.context, admitted.asked
        if admitted.token is not None:
            claimed = _text(headers, _CHANNEL) if _CHANNEL in headers else None
            try:
                context.caller = await authenticate(
                    context, admitted.token, claimed, asked.expected
                )
            except (Unauthenticated, DatabaseUnavailable) as error:
                return self._failed(headers, error)
        result = asked.plan.execute(
            None, context, asked.variables, operation_extensions=asked.extensions
        )
        if not isinstance(result, ExecutionResult):
            result = await result
        return self._answer(admitted, result)

    def _answer(self, admitted: FastPathRequest, result: ExecutionResult) -> FastPathResponse:
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            language = admitted.context.language
            errors = [self._shown(error, language) for error in result.errors]
            answer["errors"] = [error.formatted for error in errors]
            if result.data is None and all(error.path is None for error in errors):
                del answer["data"]
        answer["extensions"] = {"cost": {"requested": admitted.asked.cost}}
        body = orjson.dumps(answer)
        is_newer = b"graphql-response+json" in admitted.headers.get(b"accept", b"")
        standing = admitted.standing
        headers = [
            (b"content-length", b"%d" % len(body)),
            (b"ratelimit-policy", standing.policies.encode()),
            (b"ratelimit", standing.left.encode()),
        ]
        if b"origin" in admitted.headers:
            headers += cors_headers(self._origins.crosses(admitted.headers))
        status = 400 if is_newer and "data" not in answer else 200
        return FastPathResponse(
            status, headers, self._graphql_json if is_newer else self._json, body
        )

    def _failed(
        self, headers: Mapping[bytes, bytes], error: Unauthenticated | DatabaseUnavailable
    ) -> FastPathResponse:
        """The session could not be looked up, or is not one for this request."""
        request = Request({"type": "http", "headers": list(headers.items())})
        response = self._view.failure(request, error)
        more = cors_headers(self._origins.crosses(headers))
        return FastPathResponse(
            response.status_code,
            [*response.raw_headers, *more],
            self._always,
            bytes(response.body),
        )

    async def by_asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if not is_plain(headers):
            return await self._asgi_path(scope, receive, send)
        messages, client = await _messages(receive), scope["client"]
        admitted = None
        if messages[-1]["type"] == "http.request":
            body = b"".join([message["body"] for message in messages])
            admitted = self.admit(headers, client[0] if client else "", body)
        if admitted is None:
            return await self._asgi_path(scope, _again(messages, receive), send)
        answer = await self.run(admitted)
        all_headers = [*answer.headers, *answer.always]
        start = {"type": "http.response.start", "status": answer.status, "headers": all_headers}
        await send(start)
        await send({"type": "http.response.body", "body": answer.body})


@lru_cache(maxsize=KEPT_PLANS)
def prefetch_of(plan: Plan) -> Prefetch | None:
    """What the first field of a query asks that says so."""
    query = plan.schema.query_type
    if query is None or plan.operation.operation is not OperationType.QUERY:
        return None
    for node in plan.operation.selection_set.selections:
        definition = query.fields.get(node.name.value) if isinstance(node, FieldNode) else None
        given = definition.extensions.get(_BACKREF) if definition else None
        if isinstance(given, StrawberryField) and ASKS in given.metadata:
            expected: Prefetch = given.metadata[ASKS]
            return expected
    return None


def leads_here(scope: Scope) -> bool:
    is_request: bool = scope["type"] == "http"
    return is_request and (scope["path"], scope["method"]) == (ENDPOINT, "POST")


def is_plain(headers: Mapping[bytes, bytes]) -> bool:
    length = headers.get(b"content-length", b"")
    accept = headers.get(b"accept")
    return (
        headers.get(b"content-type") in _JSON_TYPES
        and length.isdigit()
        and len(length) < 6
        and int(length) <= MAX_BODY_BYTES
        and _MORE_THAN_PLAIN.isdisjoint(headers)
        and (accept is None or not (b"event-stream" in accept or b"multipart" in accept))
    )


async def _messages(receive: Receive) -> list[Message]:
    """As many as bring the body. Its length was judged by the header, and the server keeps it."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


def _again(messages: list[Message], receive: Receive) -> Receive:
    """`receive`, with messages that were received already."""
    waiting = iter(messages)

    async def receive_again() -> Message:
        return next(waiting, None) or await receive()

    return receive_again


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")
