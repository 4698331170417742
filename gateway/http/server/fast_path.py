"""The fast path: a JSON POST with a document that is cached and has a plan.

It performs the same steps as the ASGI path, in the same order and by the same functions:
origin, budgets, session, plan, masking. It produces successful responses only: any other
request, and any that would be rejected, is passed to the ASGI path with its body unread.

`FastPathProtocol` passes requests straight from the socket; `by_asgi` those of other servers.
"""

import sys
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

import orjson
from graphql import ExecutionResult, FieldNode, GraphQLError, OperationType
from msgspec import Struct
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from core.cards import ASKS, Prefetch
from core.db import DatabaseUnavailable
from core.kernel.texts import Language
from gateway.compiled import Plan, Plans
from gateway.http.admission import (
    Admission,
    BoundedCache,
    RateLimitStatus,
    network,
    parameters,
    variables_cost,
)
from gateway.http.edge import (
    ENDPOINT,
    EVENT_STREAM,
    GRAPHQL_JSON,
    JSON,
    BadRequest,
    Head,
    Origins,
    RawHeaders,
    TrustedProxies,
    accepts,
    authenticate,
    bearer_token,
    claimed_channel,
    cors_headers,
    device_key,
    read_head,
)
from gateway.http.graphql import failure
from gateway.resolvers.context import Application, Context, Unauthenticated

MAX_BODY_BYTES = 9_999
"""Of larger ones, reading is charged."""
MAX_KEPT_BYTES = 2 * 1024 * 1024
MAX_CACHED_BODY_BYTES = 4_096
_ENTRY_BYTES = 512
_UNSUPPORTED_HEADERS = frozenset(
    {b"idempotency-key", b"transfer-encoding", b"expect", b"content-encoding"}
)
"""Requests with these headers need the ASGI path."""
_JSON, _GRAPHQL_JSON = JSON.encode(), f"{GRAPHQL_JSON}; charset=utf-8".encode()
_EXECUTOR = StrawberryGraphQLCoreExecutionContext
_BACKREF = GraphQLCoreConverter.DEFINITION_BACKREF


class ParsedBody(Struct, frozen=True):
    """The parsed body of a request. `prefetch` are the rows that the operation reads first.

    The plan goes when its document is no longer kept."""

    text: str
    plan: ref[Plan]
    variables: dict[str, Any] | None
    extensions: dict[str, Any] | None
    cost: int
    points: int
    """What is charged: the operation's cost, and reading the variables."""
    prefetch: Prefetch | None


class FastPathRequest(Struct):
    """A request that was admitted."""

    head: Head
    parsed: ParsedBody
    plan: Plan
    context: Context
    token: str | None
    rate_limit: RateLimitStatus


class FastPathResponse(Struct):
    """`always` are headers that many responses share, so that their bytes can be cached."""

    status: int
    headers: RawHeaders
    always: tuple[tuple[bytes, bytes], ...]
    body: bytes


class FastPath:
    """`asgi_path` is the ASGI application for all other requests. `headers` are added to every
    response; `sanitize` removes from an error what clients must not see."""

    def __init__(
        self,
        application: Application,
        admission: Admission,
        origins: Origins,
        plans: Plans,
        asgi_path: ASGIApp,
        headers: RawHeaders,
        sanitize: Callable[[GraphQLError, Language], GraphQLError],
    ) -> None:
        self._application = application
        self._admission = admission
        self._origins = origins
        self._proxies = TrustedProxies.of(application.dependencies.settings)
        self._plans = plans
        self._asgi_path = asgi_path
        self._sanitize = sanitize
        self._parsed: BoundedCache[bytes, ParsedBody] = BoundedCache(MAX_KEPT_BYTES)
        self._always = tuple(headers)

    def admit(self, head: Head, peer: str, body: bytes) -> FastPathRequest | None:
        """None for a request for the ASGI path; then nothing was charged."""
        address = self._proxies.client(peer, head.pairs())
        try:
            parsed = self._parsed.get(body)
            # As asked for: it stays one of the documents that were used last.
            if parsed is None or self._admission.prepared.kept(parsed.text) is None:
                parsed = self._parse(body, address)
            plan = parsed.plan() if parsed else None
            if parsed is None or plan is None:
                return None
            context = Context(
                application=self._application,
                language=head.language,
                address=address,
                caller=None,
                device_key=device_key(head),
                claimed_channel=claimed_channel(head),
                channels=self._origins.channels_of(head),
            )
            token = bearer_token(head)
            rate_limit = self._admission.budgets.charge(address, token, parsed.points)
        except BadRequest:
            return None
        return FastPathRequest(head, parsed, plan, context, token, rate_limit)

    def _parse(self, body: bytes, address: str) -> ParsedBody | None:
        """None for the ASGI path. Bodies without variables are kept with their result."""
        given = parameters.from_json(body)
        prepared = self._admission.prepared.kept(self._admission.documents.text_of(given))
        if prepared is None or prepared.document is None:
            return None
        operation = prepared.operation(given.operation_name)
        plan = self._plans.plan(prepared.document, given.operation_name, _EXECUTOR)
        if plan is None:
            return None
        parsed = ParsedBody(
            prepared.text,
            ref(plan),
            given.variables,
            given.extensions,
            operation.cost,
            operation.cost + variables_cost(given),
            prefetch_of(plan),
        )
        if not (given.variables or given.extensions) and len(body) <= MAX_CACHED_BODY_BYTES:
            weight = len(body) + sys.getsizeof(prepared.text) + _ENTRY_BYTES
            self._parsed.put(body, parsed, weight, network(address))
        return parsed

    async def run(self, admitted: FastPathRequest) -> FastPathResponse:
        context, parsed = admitted.context, admitted.parsed
        if admitted.token is not None:
            try:
                context.caller = await authenticate(
                    context, admitted.token, context.claimed_channel, parsed.prefetch
                )
            except (Unauthenticated, DatabaseUnavailable) as error:
                return self._failed(admitted, error)
        result = admitted.plan.execute(
            None, context, parsed.variables, operation_extensions=parsed.extensions
        )
        if not isinstance(result, ExecutionResult):
            result = await result
        return self._answer(admitted, result)

    def _answer(self, admitted: FastPathRequest, result: ExecutionResult) -> FastPathResponse:
        response: dict[str, Any] = {"data": result.data}
        if result.errors:
            language = admitted.context.language
            errors = [self._sanitize(error, language) for error in result.errors]
            response["errors"] = [error.formatted for error in errors]
            if result.data is None and all(error.path is None for error in errors):
                del response["data"]
        response["extensions"] = {"cost": {"requested": admitted.parsed.cost}}
        body = orjson.dumps(response)
        is_graphql_json = admitted.head.media_type == GRAPHQL_JSON
        status = 400 if is_graphql_json and "data" not in response else 200
        headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", _GRAPHQL_JSON if is_graphql_json else _JSON),
        ]
        rate_limit = admitted.rate_limit
        headers.append((b"ratelimit-policy", rate_limit.policies.encode()))
        headers.append((b"ratelimit", rate_limit.remaining.encode()))
        return self._response(admitted, status, headers, body)

    def _failed(
        self, admitted: FastPathRequest, error: Unauthenticated | DatabaseUnavailable
    ) -> FastPathResponse:
        """The response if the session is of another channel, or the database is unavailable."""
        response = failure(admitted.head, error)
        return self._response(
            admitted, response.status_code, response.raw_headers, bytes(response.body)
        )

    def _response(
        self, admitted: FastPathRequest, status: int, headers: RawHeaders, body: bytes
    ) -> FastPathResponse:
        cors = cors_headers(self._origins.cors_origin(admitted.head))
        return FastPathResponse(status, [*headers, *cors], self._always, body)

    async def by_asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = eligible_head(list(scope["headers"]), scope.get("http_version", "1.1"))
        if head is None:
            return await self._asgi_path(scope, receive, send)
        messages, client = await _messages(receive), scope["client"]
        admitted = None
        if messages[-1]["type"] == "http.request":
            body = b"".join([message["body"] for message in messages])
            admitted = self.admit(head, client[0] if client else "", body)
        if admitted is None:
            return await self._asgi_path(scope, _replayed(messages, receive), send)
        response = await self.run(admitted)
        all_headers = [*response.headers, *response.always]
        start = {"type": "http.response.start", "status": response.status, "headers": all_headers}
        await send(start)
        await send({"type": "http.response.body", "body": response.body})


_prefetches: WeakKeyDictionary[Plan, Prefetch | None] = WeakKeyDictionary()


def prefetch_of(plan: Plan) -> Prefetch | None:
    """The rows that the first field with `ASKS` metadata reads."""
    if plan not in _prefetches:
        _prefetches[plan] = _prefetch_of(plan)
    return _prefetches[plan]


def _prefetch_of(plan: Plan) -> Prefetch | None:
    root = plan.schema.get_root_type(plan.operation.operation)
    if root is None or plan.operation.operation is OperationType.SUBSCRIPTION:
        return None
    for node in plan.operation.selection_set.selections:
        definition = root.fields.get(node.name.value) if isinstance(node, FieldNode) else None
        given = definition.extensions.get(_BACKREF) if definition else None
        if isinstance(given, StrawberryField) and ASKS in given.metadata:
            found: Prefetch = given.metadata[ASKS]
            return found
    return None


def is_candidate(scope: Scope) -> bool:
    is_request: bool = scope["type"] == "http"
    return is_request and (scope["path"], scope["method"]) == (ENDPOINT, "POST")


def eligible_head(raw: RawHeaders, http_version: str = "1.1") -> Head | None:
    """The head of a request for the fast path; None for all others, such as malformed ones."""
    try:
        head = read_head(raw, http_version)
    except BadRequest:
        return None
    return head if _is_eligible(head) else None


def _is_eligible(head: Head) -> bool:
    length = head.text(b"content-length")
    return (
        head.content_type == JSON
        and length.isdigit()
        and len(length) < 6
        and int(length) <= MAX_BODY_BYTES
        and not head.has_any(_UNSUPPORTED_HEADERS)
        and not accepts(head.accept, EVENT_STREAM)
    )


async def _messages(receive: Receive) -> list[Message]:
    """All messages of the body. Its size is limited: `Content-Length` was checked before."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    """`receive`, starting with messages that were received already."""
    waiting = iter(messages)

    async def receive_replayed() -> Message:
        return next(waiting, None) or await receive()

    return receive_replayed
