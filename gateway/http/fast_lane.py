"""The short way for what front-ends send all day: a POST of JSON with a document that is known.

It takes an operation that has been judged before and has a plan, and does to it what the whole
way does, in the same order and by the same functions: budgets, session, plan, masking. It knows
no other answer than the operation's: whatever is refused before, and whatever is not as plain
as that, goes the whole way with its body unread.
"""

from collections.abc import Callable
from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from core.database import DatabaseUnavailable
from core.errors import Language
from gateway.compiled import Plan, Plans
from gateway.http import parameters
from gateway.http.bad_requests import GRAPHQL_JSON, JSON, BadRequest, preferred_language
from gateway.http.budgets import Standing
from gateway.http.front_door import ENDPOINT, RawHeaders
from gateway.http.gate import Gate
from gateway.http.graphql import (
    CHANNEL_HEADER,
    DEVICE_HEADER,
    GraphQLView,
    authenticate,
    bearer_token,
    device_key,
)
from gateway.http.limits import Operation
from gateway.http.one_write import PROTOCOL_KEY
from gateway.http.parameters import Parameters
from gateway.resolvers.context import Application, Context, Unauthenticated

LONGEST_BODY = 65_536
_MORE_THAN_PLAIN = (b"origin", b"idempotency-key", b"transfer-encoding", b"expect")
"""Headers of requests that are judged, remembered or read in more ways than here."""
_JSON_TYPES = (b"application/json", b"application/json; charset=utf-8")
_STREAMS = (b"event-stream", b"multipart")


class FastLane:
    """An ASGI application beside `whole_way`. `headers` go with every answer of data; `shown`
    makes of an error what a client may read."""

    def __init__(
        self,
        application: Application,
        gate: Gate,
        plans: Plans,
        view: GraphQLView,
        whole_way: ASGIApp,
        headers: RawHeaders,
        shown: Callable[[GraphQLError, Language], GraphQLError],
    ) -> None:
        self._application = application
        self._gate = gate
        self._plans = plans
        self._view = view
        self._whole_way = whole_way
        self._headers = headers
        self._shown = shown
        self._json = [(b"content-type", JSON.encode()), *headers]
        graphql_json = f"{GRAPHQL_JSON}; charset=utf-8".encode()
        self._graphql_json = [(b"content-type", graphql_json), *headers]
        self._json_lines, self._graphql_json_lines = _lines(self._json), _lines(self._graphql_json)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if not _is_plain(scope, headers):
            return await self._whole_way(scope, receive, send)
        messages = await _messages(receive)
        try:
            asked, plan, operation = self._planned(_body(messages))
            context, token = self._context(scope, headers), _token(headers)
            budgets = self._gate.budgets
            budgets.must_have_room(context.address)
            standing = budgets.charge(context.address, token, operation.cost)
        except (BadRequest, _NotPlain):
            return await self._whole_way(scope, _again(messages, receive), send)
        try:
            if token is not None:
                context.caller = await authenticate(context, token, _text(headers, CHANNEL_HEADER))
        except (Unauthenticated, DatabaseUnavailable) as error:
            response = self._view.failure(Request(scope), error)
            response.raw_headers.extend(self._headers)
            return await response(scope, receive, send)
        result = plan.execute(None, context, asked.variables, operation_extensions=asked.extensions)
        if not isinstance(result, ExecutionResult):
            result = await result
        await self._answer(scope, headers, context, result, operation, standing, send)

    def _planned(self, body: bytes) -> tuple[Parameters, Plan, Operation]:
        asked = parameters.from_json(body)
        prepared = self._gate.prepared.known(self._gate.documents.text_of(asked))
        if prepared is None or prepared.errors or prepared.document is None:
            raise _NotPlain
        operation = prepared.operation(asked.operation_name)
        plan = self._plans.plan(prepared.document, asked.operation_name or None, _EXECUTOR)
        if plan is None:
            raise _NotPlain
        return asked, plan, operation

    def _context(self, scope: Scope, headers: dict[bytes, bytes]) -> Context:
        client = scope["client"]
        return Context(
            application=self._application,
            language=preferred_language(_text(headers, "accept-language") or ""),
            address=client[0] if client else "",
            caller=None,
            device_key=device_key(_text(headers, DEVICE_HEADER)),
        )

    async def _answer(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        context: Context,
        result: ExecutionResult,
        operation: Operation,
        standing: Standing,
        send: Send,
    ) -> None:
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            errors = [self._shown(error, context.language) for error in result.errors]
            answer["errors"] = [error.formatted for error in errors]
            if result.data is None and all(error.path is None for error in errors):
                del answer["data"]
        answer["extensions"] = {"cost": {"requested": operation.cost}}
        is_newer = GRAPHQL_JSON.encode() in headers.get(b"accept", b"")
        status = 200 if "data" in answer or not is_newer else 400
        budgets = [
            (b"ratelimit-policy", standing.policies.encode()),
            (b"ratelimit", standing.left.encode()),
        ]
        await self._send(scope, send, status, budgets, orjson.dumps(answer), is_newer=is_newer)

    async def _send(
        self,
        scope: Scope,
        send: Send,
        status: int,
        more: RawHeaders,
        body: bytes,
        *,
        is_newer: bool,
    ) -> None:
        headers = [(b"content-length", b"%d" % len(body)), *more]
        protocol = scope.get(PROTOCOL_KEY)
        if protocol is not None:
            always = self._graphql_json_lines if is_newer else self._json_lines
            if protocol.answer(scope, status, _lines(headers) + always, body):
                return
        headers += self._graphql_json if is_newer else self._json
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


_EXECUTOR = StrawberryGraphQLCoreExecutionContext


class _NotPlain(Exception):
    """The request goes the whole way."""


def leads_here(scope: Scope) -> bool:
    is_request: bool = scope["type"] == "http"
    return is_request and (scope["path"], scope["method"]) == (ENDPOINT, "POST")


def _is_plain(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    length = headers.get(b"content-length", b"")
    accept = headers.get(b"accept", b"")
    return (
        headers.get(b"content-type") in _JSON_TYPES
        and length.isdigit()
        and len(length) < 6
        and int(length) <= LONGEST_BODY
        and not any(name in headers for name in _MORE_THAN_PLAIN)
        and not any(kind in accept for kind in _STREAMS)
    )


async def _messages(receive: Receive) -> list[Message]:
    """As many as bring the body. Its length was judged by the header, and the server keeps it."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


def _body(messages: list[Message]) -> bytes:
    if messages[-1]["type"] != "http.request":
        raise _NotPlain
    return b"".join([message["body"] for message in messages])


def _again(messages: list[Message], receive: Receive) -> Receive:
    """`receive`, with messages that were received already."""
    waiting = iter(messages)

    async def receive_again() -> Message:
        return next(waiting, None) or await receive()

    return receive_again


def _lines(headers: RawHeaders) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])


def _token(headers: dict[bytes, bytes]) -> str | None:
    return bearer_token(_text(headers, "authorization"))


def _text(headers: dict[bytes, bytes], name: str) -> str | None:
    value = headers.get(name.encode())
    return None if value is None else value.decode("latin-1")
