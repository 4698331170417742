"""The outermost ASGI middleware: origin, CSRF and size checks, and security headers.

A plain ASGI class that costs a few microseconds. It checks the headers and responds with 403,
405 or 413 before the body is read; then it counts the bytes of the body as they arrive,
whatever `Content-Length` says.
"""

from collections.abc import Iterable

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.kernel.settings import Settings
from core.kernel.texts import Text
from gateway.http.edge.bad_requests import BadRequest
from gateway.http.edge.client_address import TrustedProxies
from gateway.http.edge.head import NO_HEADERS, Head, RawHeaders, read_scope
from gateway.http.edge.negotiation import EVENT_STREAM, accepts
from gateway.http.edge.origins import Origins, require_csrf_safe_request, wants_html

ENDPOINT = "/graphql"
CHANNELS_KEY = "card_gateway.channels"
"""Key in the scope: the channels that the origin of the request may use."""

MAX_FILES_PER_REQUEST = 2

ALLOWED_HEADERS = (
    b"accept, accept-language, authorization, content-type, graphql-preflight, idempotency-key, "
    b"x-card-channel, x-device-key, content-range"
)
EXPOSED_HEADERS = (
    b"etag, ratelimit, ratelimit-policy, retry-after, upload-offset, upload-length, upload-complete"
)
FORM = "multipart/form-data"
SELF_LIMITED_PATH = "/uploads/"
"""Resumable uploads limit the size themselves, and store what was received."""
PREFLIGHT_SECONDS = 600

FOR_FILES: RawHeaders = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
"""For responses that are not pages (OWASP REST Security Cheat Sheet). Pages may embed them."""

FOR_DATA: RawHeaders = [(b"cache-control", b"no-store"), *FOR_FILES]

FOR_PAGES: RawHeaders = [
    (
        b"content-security-policy",
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
_HSTS = (b"strict-transport-security", b"max-age=31536000")


def headers_for_data(settings: Settings) -> RawHeaders:
    return FOR_DATA + _hsts(settings)


def _hsts(settings: Settings) -> RawHeaders:
    return [_HSTS] if settings.public_url.startswith("https:") else []


class EdgeMiddleware:
    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._origins = Origins.of(settings)
        self._proxies = TrustedProxies.of(settings)
        self._is_https = settings.public_url.startswith("https:")
        self._max_bytes = settings.max_body_bytes
        self._max_form_bytes = (
            settings.max_body_bytes + MAX_FILES_PER_REQUEST * settings.max_upload_bytes
        )
        hsts = _hsts(settings)
        self._for_data, self._for_files = headers_for_data(settings), FOR_FILES + hsts
        self._for_pages = FOR_PAGES + hsts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _see_client(self, scope: Scope, head: Head) -> None:
        """The client's address, and the scheme that it used, instead of the proxy's."""
        if scope.get("client"):
            peer, port = scope["client"]
            scope["client"] = self._proxies.client(peer, head.pairs()), port
        if self._is_https:
            scope["scheme"] = "https" if scope["type"] == "http" else "wss"

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        head, started, method = NO_HEADERS, False, scope["method"]
        has_body = method != "HEAD"
        cors_origin: bytes | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal started, has_body
            if message["type"] == "http.response.start":
                started = True
                if message["status"] == 405:
                    message = _with_methods(message, is_question=method == "OPTIONS")
                has_body = has_body and message["status"] != 204
                self._add_headers(message, cors_origin)
            elif not has_body:
                message = {**message, "body": b""}
            await send(message)

        try:
            head = read_scope(scope)
            self._see_client(scope, head)
            cors_origin = self._origins.cors_origin(head)
            scope[CHANNELS_KEY] = self._origins.channels_of(head)
            if method == "OPTIONS" and cors_origin is not None:
                return await _respond(send_with_headers, 204, b"", _preflight_headers())
            _require_identity(head)
            if scope["path"] == ENDPOINT:
                _require_safe_request(method, head)
                if method == "HEAD":  # the server knows from its own scope that it sends no body
                    scope = {**scope, "method": "GET"}
            if not scope["path"].startswith(SELF_LIMITED_PATH):
                receive = self._counted(head, receive)
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            return  # the client is gone
        except BadRequest as refusal:
            if started:
                raise
            await _refuse(send_with_headers, refusal, head)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = NO_HEADERS
        try:
            head = read_scope(scope)
            self._see_client(scope, head)
            scope[CHANNELS_KEY] = self._origins.channels_of(head)
            await self._app(scope, receive, send)
        except BadRequest as refusal:
            await self._refuse_handshake(scope, send, refusal, head)

    async def _refuse_handshake(
        self, scope: Scope, send: Send, refusal: BadRequest, head: Head
    ) -> None:
        """Closing before accepting makes a server that cannot do better answer with 403."""
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return

        async def send_as_handshake(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(message, None)
            await send({**message, "type": f"websocket.{message['type']}"})

        await _refuse(send_as_handshake, refusal, head)

    def _counted(self, head: Head, receive: Receive) -> Receive:
        """Wraps `receive` to raise when the body exceeds the limit, at once if its length does."""
        is_form = head.content_type == FORM
        limit = self._max_form_bytes if is_form else self._max_bytes
        length = head.text(b"content-length")
        if length.isdigit() and (len(length) > 12 or int(length) > limit):
            raise _too_large(limit)
        received = 0

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _too_large(limit)
            return message

        return counted_receive

    def _headers_for(self, content_type: bytes) -> RawHeaders:
        if b"json" in content_type or b"event-stream" in content_type:
            return self._for_data
        return self._for_files if content_type.startswith(b"image/") else self._for_pages

    def _add_headers(self, message: Message, cors_origin: bytes | None) -> None:
        """Adds the headers that the response does not set itself."""
        given: RawHeaders = list(message.get("headers", ()))
        names = {name.lower() for name, _ in given}
        kind = next((value for name, value in given if name.lower() == b"content-type"), b"")
        # A 304 would replace the headers of the response that the client has kept.
        more = [] if message["status"] == 304 else self._headers_for(kind)
        if message["status"] == 401:
            more = [*more, (b"www-authenticate", b"Bearer")]
        added = [pair for pair in more if pair[0] not in names]
        message["headers"] = given + cors_headers(cors_origin) + added


def cors_headers(origin: bytes | None) -> RawHeaders:
    """Headers that let a page of a listed origin read the response (Fetch Standard, CORS)."""
    if origin is None:
        return []
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", EXPOSED_HEADERS),
        (b"vary", b"Origin"),
    ]


def _require_safe_request(method: str, head: Head) -> None:
    if method not in ("GET", "HEAD", "POST"):
        raise BadRequest(
            Text("仅支持 GET 与 POST 请求。", "Only GET and POST requests are supported."),
            405,
            "METHOD_NOT_ALLOWED",
            headers={"Allow": "GET, HEAD, OPTIONS, POST"},
        )
    if method == "HEAD":
        if accepts(head.accept, EVENT_STREAM):
            raise BadRequest(_NO_STREAM, 406, "NOT_ACCEPTABLE")
        method = "GET"
    if not wants_html(method, head):
        require_csrf_safe_request(method, head)


def _require_identity(head: Head) -> None:
    """RFC 7694: a body is read as it is, so that no small one becomes a large one."""
    if head.text(b"content-encoding").lower() not in ("", "identity"):
        raise BadRequest(
            _ENCODED, 415, "UNSUPPORTED_CONTENT_ENCODING", headers={"Accept-Encoding": "identity"}
        )


_ENCODED = Text("请求内容不得压缩。", "The request body must not be compressed.")
_NO_STREAM = Text("HEAD 请求没有事件流。", "A HEAD request has no event stream.")
_FILE_METHODS = b"GET, HEAD, OPTIONS"


def _with_methods(message: Message, *, is_question: bool) -> Message:
    """A 405 with the methods of the route in order; for OPTIONS, they are the whole response.

    RFC 9110 sections 9.3.7 and 15.5.6.
    """
    headers: RawHeaders = list(message["headers"])
    allowed = next((value for name, value in headers if name == b"allow"), _FILE_METHODS)
    methods = sorted({method.strip() for method in allowed.split(b",")} | {b"OPTIONS"})
    allow = (b"allow", b", ".join(methods))
    if is_question:
        return {**message, "status": 204, "headers": [allow]}
    others = [pair for pair in headers if pair[0] != b"allow"]
    return {**message, "headers": [*others, allow]}


def _too_large(limit: int) -> BadRequest:
    return BadRequest(
        Text(
            f"请求内容过大，不能超过 {limit} 字节。",
            f"The request body is larger than {limit} bytes.",
        ),
        413,
        "BODY_TOO_LARGE",
    )


def _preflight_headers() -> Iterable[tuple[bytes, bytes]]:
    """The headers of the response to a preflight of a listed origin."""
    return (
        (b"access-control-allow-methods", b"GET, HEAD, POST, PUT"),
        (b"access-control-allow-headers", ALLOWED_HEADERS),
        (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
    )


async def _refuse(send: Send, refusal: BadRequest, head: Head) -> None:
    """Also closes the connection, because the rest of the body is not read."""
    kind = head.media_type
    body = orjson.dumps({"errors": [refusal.error(head.language)]})
    more = [(name.lower().encode(), value.encode()) for name, value in refusal.headers.items()]
    more += [(b"content-type", f"{kind}; charset=utf-8".encode()), (b"connection", b"close")]
    await _respond(send, refusal.status, body, more)


async def _respond(
    send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    length = [] if status == 204 else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body})
