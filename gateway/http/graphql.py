"""The GraphQL endpoint: GraphQL over HTTP, WebSocket (`graphql-transport-ws`) and SSE.

Based on strawberry's view; what differs follows the GraphQL-over-HTTP specification: both
response media types with their status codes, and a clear 400 for every malformed request.
A form upload must carry a header that a foreign page cannot set without being asked
(Authorization or GraphQL-Preflight), so that no simple request runs anything.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import orjson
import strawberry
import structlog
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from graphql import GraphQLError
from starlette.datastructures import Headers, UploadFile
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.extensions import SchemaExtension
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from core import sessions
from core.callers import Caller
from core.database import DatabaseUnavailable
from core.errors import Language, TryAgainLater
from core.idempotency import IdempotencyKey
from gateway.http.playground import playground_page
from gateway.resolvers.context import Application, Context, Unauthenticated

GRAPHQL_JSON = "application/graphql-response+json"
JSON = "application/json"
PREFLIGHT_HEADERS = ("authorization", "graphql-preflight", "x-requested-with")
CHANNEL_HEADER = "x-card-channel"
DEVICE_HEADER = "x-device-key"
DEVICE_KEY_CHARACTERS = range(16, 201)
MOST_KEY_CHARACTERS = 255

log = structlog.get_logger("graphql")


class GraphQLView(GraphQL[Context, None]):
    def __init__(self, schema: strawberry.Schema, application: Application) -> None:
        super().__init__(
            schema,
            graphql_ide="graphiql" if application.tools.settings.introspection else None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            multipart_uploads_enabled=True,
            allowed_origins=tuple(application.tools.settings.origins),
        )
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.run(WebSocket(scope, receive, send))
            return
        request = Request(scope, receive)
        try:
            response = await self.run(request)
        except HTTPException as error:
            response = _request_error(request, error.status_code, error.reason)
        except Unauthenticated as error:
            response = _request_error(
                request, 401, error.message, str((error.extensions or {})["code"])
            )
        except DatabaseUnavailable:
            log.error("graphql.database_unavailable")
            response = _unavailable(request)
        try:
            await response(scope, receive, send)
        finally:
            await request.close()

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        token = bearer_token(request.headers.get("authorization"))
        context = Context(
            application=self._application,
            language=preferred_language(request.headers.get("accept-language", "")),
            address=request.client.host if request.client else "",
            caller=None,
            device_key=_device_key(request),
        )
        if isinstance(request, WebSocket):
            context.token = token
            return context
        if token is not None:
            context.caller = await authenticate(context, token, request)
        context.idempotency = await _idempotency_key(request)
        return context

    async def on_ws_connect(self, context: Context) -> Any:
        """Browsers set no headers on a socket: the same names stand in the parameters."""
        given = context.connection_params
        parameters = given if isinstance(given, dict) else {}
        headers = {str(name).lower(): str(value) for name, value in parameters.items()}
        context.token = bearer_token(headers.get("authorization")) or context.token
        context.device_key = headers.get(DEVICE_HEADER, context.device_key)
        if "accept-language" in headers:
            context.language = preferred_language(headers["accept-language"])
        return await super().on_ws_connect(context)

    async def render_graphql_ide(self, request: Request) -> Response:
        return playground_page()

    def should_render_graphql_ide(self, request: Any) -> bool:
        return (
            request.method == "GET"
            and request.query_params.get("query") is None
            and "text/html" in request.headers.get("accept", "")
        )

    async def parse_http_body(
        self, request: AsyncHTTPRequestAdapter
    ) -> GraphQLRequestData | list[GraphQLRequestData]:
        if request.method == "POST" and not _is_preflighted(request):
            raise HTTPException(
                403, "A form upload needs the header GraphQL-Preflight or Authorization."
            )
        data = await super().parse_http_body(request)
        if isinstance(data, GraphQLRequestData) and not data.query:
            raise HTTPException(400, "The request holds no GraphQL query.")
        if isinstance(data, GraphQLRequestData) and not _is_name(data.operation_name):
            raise HTTPException(400, "`operationName` must be a string or null.")
        return data

    def parse_json(self, data: str | bytes) -> Any:
        parsed = super().parse_json(data)
        if isinstance(parsed, list):
            raise HTTPException(400, "Batching is not enabled: send one operation a request.")
        if not isinstance(parsed, dict):
            raise HTTPException(400, "The request body must be a JSON object.")
        return parsed

    def decode_json(self, data: str | bytes) -> object:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise json.JSONDecodeError("not JSON", "", 0) from error

    def encode_json(self, data: object) -> str:
        return orjson.dumps(data).decode()

    async def parse_multipart(self, request: AsyncHTTPRequestAdapter) -> dict[str, str]:
        try:
            return await super().parse_multipart(request)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise HTTPException(
                400, "`operations` and `map` do not follow the multipart request specification."
            ) from error

    async def process_result(
        self, request: Request, result: ExecutionResult
    ) -> GraphQLHTTPResponse:
        processed = await super().process_result(request, result)
        if _was_never_run(result):
            processed.pop("data", None)
        return processed

    def create_response(
        self,
        response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse],
        sub_response: Response,
    ) -> Response:
        without_data = isinstance(response_data, dict) and "data" not in response_data
        accept = sub_response.accept if isinstance(sub_response, _SubResponse) else ""
        return _json_response(response_data, accept, 400 if without_data else 200)

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        response = _SubResponse()
        del response.headers["content-length"]
        response.accept = request.headers.get("accept", "")
        return response


class _SubResponse(Response):
    """Carries what the client accepts from the request to the response."""

    accept = ""


class SignInAgain(SchemaExtension):
    """A socket outlives its session: each operation on it looks the session up again."""

    async def on_operation(self) -> AsyncIterator[None]:
        context = cast("Context", self.execution_context.context)
        if context.token is not None:
            context.caller = await authenticate(context, context.token, None)
        yield


async def authenticate(
    context: Context, token: str, request: HTTPConnection | None
) -> Caller | None:
    """The session's caller; None when it has ended. A session holds for its channel alone."""
    application = context.application
    caller = await sessions.find_caller(
        application.database, token, application.clock(), context.address, context.device_key
    )
    claimed = request.headers.get(CHANNEL_HEADER) if request is not None else None
    if caller is not None and claimed is not None and claimed != caller.channel.value:
        raise Unauthenticated(
            f"The session belongs to another channel than {CHANNEL_HEADER} says.",
            "SESSION_OF_ANOTHER_CHANNEL",
        )
    return caller


def _device_key(request: HTTPConnection) -> str | None:
    """Random text that the front-end keeps on the device: its sessions work only with it."""
    key = request.headers.get(DEVICE_HEADER)
    if key is not None and len(key) not in DEVICE_KEY_CHARACTERS:
        raise HTTPException(400, "X-Device-Key must have 16 to 200 characters.")
    return key


def bearer_token(header: str | None) -> str | None:
    """RFC 6750 section 2.1."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def preferred_language(accept_language: str) -> Language:
    """Chinese, unless English is asked for with a higher weight (RFC 9110 section 12.5.4)."""
    weights = {Language.ZH: 0.0, Language.EN: 0.0}
    for part in accept_language.split(",")[:20]:
        tag, _, parameter = part.strip().partition(";")
        primary = tag.lower().split("-")[0]
        for language in weights:
            if primary == language.value:
                weights[language] = max(weights[language], _weight(parameter))
    return Language.EN if weights[Language.EN] > weights[Language.ZH] else Language.ZH


def _weight(parameter: str) -> float:
    try:
        return float(parameter.strip().removeprefix("q=")) if parameter else 1.0
    except ValueError:
        return 0.0


async def _idempotency_key(request: Request) -> IdempotencyKey | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not key or len(key) > MOST_KEY_CHARACTERS:
        raise HTTPException(
            400, f"Idempotency-Key must have 1 to {MOST_KEY_CHARACTERS} characters."
        )
    return IdempotencyKey(key, await _digest(request))


async def _digest(request: Request) -> bytes:
    """Of the body; of a form, its parts, because the boundary is drawn anew each time."""
    if not _is_form(request.headers):
        return hashlib.sha256(await request.body()).digest()
    digest = hashlib.sha256()
    form = await request.form()
    for name, value in sorted(form.multi_items(), key=lambda item: item[0]):
        digest.update(name.encode() + b"\0")
        if isinstance(value, UploadFile):
            digest.update(hashlib.sha256(await value.read()).digest())
            await value.seek(0)
        else:
            digest.update(value.encode())
    return digest.digest()


def _is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").lower().startswith("multipart/form-data")


def _is_preflighted(request: AsyncHTTPRequestAdapter) -> bool:
    headers = Headers({name.lower(): value for name, value in request.headers.items()})
    return not _is_form(headers) or any(name in headers for name in PREFLIGHT_HEADERS)


def _was_never_run(result: ExecutionResult) -> bool:
    """A document that is not valid, or variables that do not fit: no error has a path."""
    return isinstance(result, PreExecutionError) or (
        result.data is None and all(error.path is None for error in result.errors or ())
    )


def _is_name(operation_name: object) -> bool:
    return operation_name is None or isinstance(operation_name, str)


def _request_error(
    request: Request, status: int, message: str, code: str = "BAD_REQUEST"
) -> Response:
    error = GraphQLError(message, extensions={"code": code})
    return _json_response(
        {"errors": [error.formatted]}, request.headers.get("accept", ""), status, strict=True
    )


def _unavailable(request: Request) -> Response:
    """The session itself could not be looked up."""
    language = preferred_language(request.headers.get("accept-language", ""))
    refusal = TryAgainLater(wait=5, retry_after=5)
    response = _request_error(request, 503, refusal.message(language), refusal.code.value)
    response.headers["Retry-After"] = "5"
    return response


def _json_response(data: object, accept: str, status: int, *, strict: bool = False) -> Response:
    """With `application/json` a well-formed request is answered 200 whatever its document does."""
    new_media_type = GRAPHQL_JSON in accept
    return Response(
        orjson.dumps(data),
        status_code=status if new_media_type or strict else 200,
        media_type=f"{GRAPHQL_JSON}; charset=utf-8" if new_media_type else JSON,
    )
