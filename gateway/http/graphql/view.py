"""The GraphQL endpoint: GraphQL over HTTP, WebSocket (`graphql-transport-ws`) and SSE.

Before strawberry's view executes an operation, the gateway checks the address budget, parses
the parameters, admits the operation and authenticates the session, in this order; a step is
reached only if the earlier ones succeed. Status codes of both response media types follow the
GraphQL-over-HTTP specification.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, BinaryIO

import orjson
import strawberry
import structlog
from cross_web import AsyncHTTPRequestAdapter, HTTPException, StarletteRequestAdapter
from graphql import OperationType
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.http.streaming import HTTPStreamTransport, SSETransport
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from core.db import DatabaseUnavailable
from core.kernel.texts import Text
from core.unit_of_work import IdempotencyKey
from gateway.http.admission import (
    Admission,
    AdmittedOperation,
    Parameters,
    admitted_document,
    parameters,
)
from gateway.http.edge import (
    CHANNELS_KEY,
    EVENT_STREAM,
    FORM,
    GRAPHQL_JSON,
    JSON,
    NO_HEADERS,
    BadRequest,
    Head,
    accepts,
    authenticate,
    bearer_token,
    claimed_channel,
    device_key,
    head_of,
    head_of_parameters,
    session_unreadable,
    wants_html,
)
from gateway.http.graphql.playground import playground_page
from gateway.http.graphql.public import PublicResponses, asks_for_schema, public_seconds
from gateway.http.graphql.sockets import MAX_OPERATIONS, SocketHandler
from gateway.resolvers.context import Application, Context, Unauthenticated

MAX_KEY_CHARACTERS = 255
_CHUNK = 262_144
CONNECTION_INIT_SECONDS = 10

_UNSUPPORTED = Text(
    "请求须为 application/json 或 multipart/form-data。",
    "The request must be application/json or multipart/form-data.",
)
_ONLY_QUERIES = Text(
    "GET 仅可执行查询：请改用 POST。", "GET executes queries only: use POST for this operation."
)

_ONLY_AS_STREAM = Text(
    "订阅须以 Accept: text/event-stream 请求，或经 WebSocket 发起。",
    "A subscription needs Accept: text/event-stream, or a WebSocket.",
)

log = structlog.get_logger("graphql")


class _RequestAdapter(StarletteRequestAdapter):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.scope = request.scope
        self.head = head_of(request)


class _EventStream(SSETransport):
    """Uses the `cursor` in an event's data as the event id, which a browser sends as
    `Last-Event-ID` when it reconnects (HTML, 9.2 Server-sent events)."""

    def encode_next(
        self, response: GraphQLHTTPResponse, encode_json: Callable[[object], str]
    ) -> str:
        event = super().encode_next(response, encode_json)
        for value in (response.get("data") or {}).values():
            if isinstance(value, dict) and isinstance(value.get("cursor"), str):
                return f"id: {value['cursor']}\r\n{event}"
        return event


class GraphQLView(GraphQL[Context, None]):
    request_adapter_class = _RequestAdapter
    stream_transport_classes_by_protocol: Mapping[str, type[HTTPStreamTransport]] = {
        GRAPHQL_SSE_PROTOCOL: _EventStream
    }
    graphql_transport_ws_handler_class = SocketHandler

    def __init__(
        self, schema: strawberry.Schema, application: Application, admission: Admission
    ) -> None:
        super().__init__(
            schema,
            graphql_ide="graphiql" if application.dependencies.settings.introspection else None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            connection_init_wait_timeout=timedelta(seconds=CONNECTION_INIT_SECONDS),
            max_subscriptions_per_connection=MAX_OPERATIONS,
            multipart_uploads_enabled=True,
            # The edge has checked the origin already.
            allowed_origins=("*",),
        )
        self._application = application
        self.admission = admission
        self._public = PublicResponses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            socket = WebSocket(scope, receive, send)
            await self.run(socket)
            return
        request = Request(scope, receive)
        head = head_of(request)
        try:
            response = await self._respond(request, head)
        except BadRequest as error:
            response = _refusal(head, error)
        except HTTPException as error:
            response = _refusal(head, BadRequest(error.reason, error.status_code))
        except (Unauthenticated, DatabaseUnavailable) as error:
            response = failure(head, error)
        try:
            await response(scope, receive, send)
        finally:
            await request.close()

    async def _respond(self, request: Request, head: Head) -> Response:
        if wants_html(request.method, head):
            return self._page()
        address = _address(request)
        self.admission.budgets.require_budget(address)
        parsed = await read_parameters(request, head, partial(self.admission.charge_body, address))
        token = bearer_token(head)
        admitted = self.admission.admit(parsed, address, token, exempt=self.is_playground(request))
        if admitted.operation is None:
            response = _errors(head, admitted)
        else:
            if request.method == "GET" and admitted.operation.kind is OperationType.MUTATION:
                raise BadRequest(_ONLY_QUERIES, 405, headers={"Allow": "POST"})
            is_subscription = admitted.operation.kind is OperationType.SUBSCRIPTION
            if is_subscription and not accepts(head.accept, EVENT_STREAM):
                raise BadRequest(_ONLY_AS_STREAM, 406, "NOT_ACCEPTABLE")
            request.scope[_PARSED] = parsed, admitted.prepared.text
            admitted_document.set(admitted.prepared)
            response = await self.run(request)
            if isinstance(response, _Result) and head.get(b"authorization") is None:
                document, name = admitted.prepared.document, parsed.operation_name
                assert document is not None
                seconds = public_seconds(self.admission.schema, document, name)
                if request.method == "GET" and response.is_whole and seconds is not None:
                    return await self._public.cacheable(response, head, seconds)
                if asks_for_schema(document, name):
                    await self._public.compress(response, head)
        response.headers["RateLimit-Policy"] = admitted.rate_limit.policies
        response.headers["RateLimit"] = admitted.rate_limit.remaining
        return response

    def _page(self) -> Response:
        if self._application.dependencies.settings.introspection:
            return playground_page()
        raise BadRequest(Text("没有此页面。", "This page does not exist."), 404, "NOT_FOUND")

    def is_playground(self, connection: HTTPConnection) -> bool:
        """Whether the request comes from the playground, which may send untrusted documents."""
        own_page = head_of(connection).get(b"sec-fetch-site") == "same-origin"
        return bool(self._application.dependencies.settings.introspection) and own_page

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        head = head_of(request)
        token = bearer_token(head)
        context = Context(
            application=self._application,
            language=head.language,
            address=_address(request),
            caller=None,
            device_key=device_key(head),
            claimed_channel=claimed_channel(head),
            last_event_id=head.get(b"last-event-id"),
            channels=request.scope.get(CHANNELS_KEY),
        )
        if isinstance(request, WebSocket):
            context.token = token
            context.may_run_untrusted = self.is_playground(request)
            return context
        if token is not None:
            context.caller = await authenticate(context, token, context.claimed_channel)
        context.idempotency = await _idempotency_key(request, head)
        return context

    async def on_ws_connect(self, context: Context) -> Any:
        """Browsers cannot set headers of a socket: connection parameters of the same names replace them."""
        given = context.connection_params
        try:
            head = head_of_parameters(given if isinstance(given, dict) else {})
        except BadRequest as error:
            raise ConnectionRejectionError from error
        context.device_key = device_key(head) or context.device_key
        context.token = bearer_token(head) or context.token
        context.claimed_channel = claimed_channel(head) or context.claimed_channel
        if head.get(b"accept-language") is not None:
            context.language = head.language
        return await super().on_ws_connect(context)

    def should_render_graphql_ide(self, request: Any) -> bool:
        return False

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData:
        """Returns the parameters that were parsed and admitted before."""
        assert isinstance(request, _RequestAdapter)
        parsed, text = request.scope[_PARSED]
        is_stream = accepts(request.head.accept, EVENT_STREAM)
        return GraphQLRequestData(
            query=text,
            variables=parsed.variables,
            operation_name=parsed.operation_name,
            extensions=parsed.extensions,
            protocol=_EventStream.protocol if is_stream else "http",
        )

    def decode_json(self, data: str | bytes) -> object:
        return orjson.loads(data)

    def encode_json(self, data: object) -> str:
        return orjson.dumps(data).decode()

    async def process_result(
        self, request: Request, result: ExecutionResult
    ) -> GraphQLHTTPResponse:
        processed = await super().process_result(request, result)
        if _was_not_executed(result):
            processed.pop("data", None)
        return processed

    def create_response(
        self,
        response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse],
        sub_response: Response,
    ) -> Response:
        without_data = isinstance(response_data, dict) and "data" not in response_data
        assert isinstance(sub_response, _SubResponse)
        result = json_response(response_data, sub_response.head, 400 if without_data else 200)
        result.is_whole = "errors" not in response_data
        return result

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        response = _SubResponse()
        del response.headers["content-length"]
        response.head = head_of(request)
        return response


_PARSED = "card_gateway.parsed"


class _Result(Response):
    is_whole = False
    """Without errors, so that it may be cached."""


class _SubResponse(Response):
    """Carries the head from the request to the response."""

    head = NO_HEADERS


async def read_parameters(
    request: Request, head: Head, charge: Callable[[int], None]
) -> Parameters:
    """`charge` is told the size of the JSON before it is decoded, and raises `BadRequest`."""
    if request.method == "GET":
        return parameters.from_query_string(request.scope["query_string"])
    if head.content_type == JSON:
        body = await request.body()
        charge(len(body))
        return parameters.from_json(body)
    if head.content_type != FORM:
        raise BadRequest(_UNSUPPORTED, 415, "UNSUPPORTED_MEDIA_TYPE")
    try:
        form = await request.form(max_files=parameters.MAX_FILES, max_fields=4)
    except (StarletteHTTPException, MultiPartException, ValueError, KeyError) as error:
        raise BadRequest(parameters.NOT_A_FORM) from error
    if len(form) != len(form.multi_items()):
        raise BadRequest(parameters.NOT_A_FORM)
    charge(sum(len(part) for part in form.values() if isinstance(part, str)))
    files = {name: part for name, part in form.items() if isinstance(part, UploadFile)}
    return parameters.from_form(form.get("operations"), form.get("map"), files)


def _address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


async def _idempotency_key(request: Request, head: Head) -> IdempotencyKey | None:
    key = head.get(b"idempotency-key")
    if key is None:
        return None
    if not key or len(key) > MAX_KEY_CHARACTERS:
        raise BadRequest(f"Idempotency-Key must have 1 to {MAX_KEY_CHARACTERS} characters.")
    return IdempotencyKey(key, await _digest(request, head))


async def _digest(request: Request, head: Head) -> bytes:
    """Digest of the body; for a form, of its parts, because a retry has another boundary."""
    if head.content_type != FORM:
        return hashlib.sha256(await request.body()).digest()
    digest = hashlib.sha256()
    form = await request.form()
    for name, value in sorted(form.multi_items(), key=lambda item: item[0]):
        digest.update(name.encode() + b"\0")
        if isinstance(value, UploadFile):
            digest.update(await asyncio.to_thread(_digest_of_file, value.file))
        else:
            digest.update(value.encode())
    return digest.digest()


def _digest_of_file(file: BinaryIO) -> bytes:
    """Rewinds the file afterwards."""
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    file.seek(0)
    return digest.digest()


def _was_not_executed(result: ExecutionResult) -> bool:
    """True for invalid variables: none of the errors has a path."""
    return isinstance(result, PreExecutionError) or (
        result.data is None and all(error.path is None for error in result.errors or ())
    )


def _errors(head: Head, admitted: AdmittedOperation) -> Response:
    """The response to an invalid document."""
    data = {"errors": [error.formatted for error in admitted.prepared.errors]}
    return json_response(data, head, 400)


def failure(head: Head, error: Unauthenticated | DatabaseUnavailable) -> Response:
    """The response if the session is of another channel, or the database is unavailable."""
    if isinstance(error, DatabaseUnavailable):
        log.error("graphql.database_unavailable")
        return _refusal(head, session_unreadable())
    code = str((error.extensions or {})["code"])
    return _refusal(head, BadRequest(error.message, 401, code))


def _refusal(head: Head, error: BadRequest) -> Response:
    is_graphql_json = head.media_type == GRAPHQL_JSON
    status = 400 if error.status == 200 and is_graphql_json else error.status
    data = {"errors": [error.error(head.language)]}
    response = json_response(data, head, status, strict=True)
    response.headers.update(error.headers)
    return response


def json_response(data: object, head: Head, status: int, *, strict: bool = False) -> _Result:
    """With `application/json`, every well-formed request gets status 200, unless `strict`."""
    kind = head.media_type
    return _Result(
        orjson.dumps(data),
        status_code=status if kind == GRAPHQL_JSON or strict else 200,
        media_type=f"{kind}; charset=utf-8" if kind == GRAPHQL_JSON else JSON,
    )
