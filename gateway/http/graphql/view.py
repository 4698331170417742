"""The GraphQL endpoint: GraphQL over HTTP, WebSocket (`graphql-transport-ws`) and SSE.

Before strawberry's view executes an operation, the gateway checks the address budget, parses
the parameters, admits the operation and authenticates the session, in this order; a step is
reached only if the earlier ones succeed. Status codes of both response media types follow the
GraphQL-over-HTTP specification.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any, BinaryIO, cast

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
from strawberry.extensions import SchemaExtension
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.http.streaming import HTTPStreamTransport, SSETransport
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from core.db import DatabaseUnavailable
from core.kernel.refusals import Language, Text, TryAgainLater
from core.unit_of_work import IdempotencyKey
from gateway.http.admission import (
    Admission,
    AdmittedOperation,
    Parameters,
    admitted_document,
    parameters,
)
from gateway.http.edge import (
    CHANNEL_HEADER,
    CHANNELS_KEY,
    DEVICE_HEADER,
    GRAPHQL_JSON,
    JSON,
    BadRequest,
    authenticate,
    bearer_token,
    device_key,
    media_type,
    preferred_language,
    wants_html,
)
from gateway.http.graphql.playground import playground_page
from gateway.http.graphql.sockets import SocketHandler
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

log = structlog.get_logger("graphql")


class _RequestAdapter(StarletteRequestAdapter):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.scope = request.scope


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
            multipart_uploads_enabled=True,
            # The edge has checked the origin already.
            allowed_origins=("*",),
        )
        self._application = application
        self.admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.run(WebSocket(scope, receive, send))
            return
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except BadRequest as error:
            response = _refusal(request, error)
        except HTTPException as error:
            response = _refusal(request, BadRequest(error.reason, error.status_code))
        except (Unauthenticated, DatabaseUnavailable) as error:
            response = self.failure(request, error)
        try:
            await response(scope, receive, send)
        finally:
            await request.close()

    def failure(self, request: Request, error: Unauthenticated | DatabaseUnavailable) -> Response:
        """The response if the session is of another channel, or the database is unavailable."""
        if isinstance(error, DatabaseUnavailable):
            log.error("graphql.database_unavailable")
            return _unavailable(request)
        code = str((error.extensions or {})["code"])
        return _refusal(request, BadRequest(error.message, 401, code))

    async def _respond(self, request: Request) -> Response:
        if wants_html(request.method, dict(request.scope["headers"])):
            return self._page()
        address = _address(request)
        self.admission.budgets.require_budget(address)
        self.admission.charge_body(address, await _json_size(request))
        parsed = await read_parameters(request)
        token = bearer_token(request.headers.get("authorization"))
        admitted = self.admission.admit(parsed, address, token, exempt=self.is_playground(request))
        if admitted.operation is None:
            response = _errors(request, admitted)
        else:
            if request.method == "GET" and admitted.operation.kind is OperationType.MUTATION:
                raise BadRequest(_ONLY_QUERIES, 405, headers={"Allow": "POST"})
            request.scope[_PARSED] = parsed, admitted.prepared.text
            admitted_document.set(admitted.prepared)
            response = await self.run(request)
        response.headers["RateLimit-Policy"] = admitted.rate_limit.policies
        response.headers["RateLimit"] = admitted.rate_limit.remaining
        return response

    def _page(self) -> Response:
        if self._application.dependencies.settings.introspection:
            return playground_page()
        raise BadRequest(Text("没有此页面。", "This page does not exist."), 404, "NOT_FOUND")

    def is_playground(self, connection: HTTPConnection) -> bool:
        """Whether the request comes from the playground, which may send untrusted documents."""
        own_page = connection.headers.get("sec-fetch-site") == "same-origin"
        return bool(self._application.dependencies.settings.introspection) and own_page

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        token = bearer_token(request.headers.get("authorization"))
        context = Context(
            application=self._application,
            language=preferred_language(request.headers.get("accept-language", "")),
            address=_address(request),
            caller=None,
            device_key=device_key(request.headers.get(DEVICE_HEADER)),
            claimed_channel=request.headers.get(CHANNEL_HEADER),
            last_event_id=request.headers.get("last-event-id"),
            channels=request.scope.get(CHANNELS_KEY),
        )
        if isinstance(request, WebSocket):
            context.token = token
            context.may_run_untrusted = self.is_playground(request)
            return context
        if token is not None:
            context.caller = await authenticate(context, token, context.claimed_channel)
        context.idempotency = await _idempotency_key(request)
        return context

    async def on_ws_connect(self, context: Context) -> Any:
        """Browsers cannot set headers of a socket: connection parameters of the same names replace them."""
        given = context.connection_params
        parameters = given if isinstance(given, dict) else {}
        headers = {str(name).lower(): str(value) for name, value in parameters.items()}
        context.token = bearer_token(headers.get("authorization")) or context.token
        context.device_key = headers.get(DEVICE_HEADER, context.device_key)
        context.claimed_channel = headers.get(CHANNEL_HEADER, context.claimed_channel)
        if "accept-language" in headers:
            context.language = preferred_language(headers["accept-language"])
        return await super().on_ws_connect(context)

    def should_render_graphql_ide(self, request: Any) -> bool:
        return False

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData:
        """Returns the parameters that were parsed and admitted before."""
        assert isinstance(request, _RequestAdapter)
        parsed, text = request.scope[_PARSED]
        transport = self._get_stream_transport_from_headers(request.headers)
        return GraphQLRequestData(
            query=text,
            variables=parsed.variables,
            operation_name=parsed.operation_name,
            extensions=parsed.extensions,
            protocol=transport.protocol if transport else "http",
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
        accept = sub_response.accept if isinstance(sub_response, _SubResponse) else ""
        return json_response(response_data, accept, 400 if without_data else 200)

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        response = _SubResponse()
        del response.headers["content-length"]
        response.accept = request.headers.get("accept", "")
        return response


_PARSED = "card_gateway.parsed"


class _SubResponse(Response):
    """Carries what the client accepts from the request to the response."""

    accept = ""


class ReauthenticateSockets(SchemaExtension):
    """A socket may outlive its session, so each operation on it authenticates again."""

    async def on_operation(self) -> AsyncIterator[None]:
        context = cast("Context", self.execution_context.context)
        if context.token is not None:
            context.caller = None
            with contextlib.suppress(Unauthenticated):
                context.caller = await authenticate(context, context.token, context.claimed_channel)
        yield


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _json_size(request: Request) -> int:
    """The bytes of a JSON body; of other requests, something else is charged."""
    is_json = request.method != "GET" and _content_type(request) == JSON
    return len(await request.body()) if is_json else 0


async def read_parameters(request: Request) -> Parameters:
    if request.method == "GET":
        return parameters.from_query_string(request.scope["query_string"])
    kind = _content_type(request)
    if kind == JSON:
        return parameters.from_json(await request.body())
    if kind != "multipart/form-data":
        raise BadRequest(_UNSUPPORTED, 415, "UNSUPPORTED_MEDIA_TYPE")
    try:
        form = await request.form(max_files=parameters.MAX_FILES, max_fields=4)
    except (StarletteHTTPException, MultiPartException, ValueError, KeyError) as error:
        raise BadRequest(parameters.NOT_A_FORM) from error
    files = {name: part for name, part in form.items() if isinstance(part, UploadFile)}
    return parameters.from_form(form.get("operations"), form.get("map"), files)


def _address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


async def _idempotency_key(request: Request) -> IdempotencyKey | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not key or len(key) > MAX_KEY_CHARACTERS:
        raise BadRequest(f"Idempotency-Key must have 1 to {MAX_KEY_CHARACTERS} characters.")
    return IdempotencyKey(key, await _digest(request))


async def _digest(request: Request) -> bytes:
    """Digest of the body; for a form, of its parts, because a retry has another boundary."""
    if not _is_form(request.headers):
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


def _is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lower().startswith("multipart/form-data")


def _was_not_executed(result: ExecutionResult) -> bool:
    """True for invalid variables: none of the errors has a path."""
    return isinstance(result, PreExecutionError) or (
        result.data is None and all(error.path is None for error in result.errors or ())
    )


def _errors(request: Request, admitted: AdmittedOperation) -> Response:
    """The response to an invalid document."""
    data = {"errors": [error.formatted for error in admitted.prepared.errors]}
    return json_response(data, request.headers.get("accept", ""), 400)


def _refusal(request: Request, error: BadRequest) -> Response:
    language = preferred_language(request.headers.get("accept-language", ""))
    accept = request.headers.get("accept", "")
    status = 400 if error.status == 200 and media_type(accept) == GRAPHQL_JSON else error.status
    data = {"errors": [error.error(language)]}
    response = json_response(data, accept, status, strict=True)
    response.headers.update(error.headers)
    return response


def _unavailable(request: Request) -> Response:
    """The response if the session could not be read."""
    refusal = TryAgainLater(retry_after=5)
    text = Text(refusal.message(Language.ZH), refusal.message(Language.EN))
    return _refusal(request, BadRequest(text, 503, refusal.code.value, retry_after=5))


def json_response(data: object, accept: str, status: int, *, strict: bool = False) -> Response:
    """With `application/json`, every well-formed request gets status 200, unless `strict`."""
    kind = media_type(accept)
    return Response(
        orjson.dumps(data),
        status_code=status if kind == GRAPHQL_JSON or strict else 200,
        media_type=f"{kind}; charset=utf-8" if kind == GRAPHQL_JSON else JSON,
    )
