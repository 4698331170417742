"""Bodies are counted while they arrive: what is too large is refused before anything parses it."""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FILES_IN_A_REQUEST = 2


class _TooLarge(Exception):
    pass


class BodyLimit:
    """413 past `most_bytes`, or past the room for two files in a form upload.

    A resumable upload counts by itself: what came in time is kept.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, most_upload_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._most_form_bytes = most_bytes + FILES_IN_A_REQUEST * most_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/uploads/"):
            await self._app(scope, receive, send)
            return
        most = self._limit(scope)
        received, started = 0, False

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise _TooLarge
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, counted_receive, watched_send)
        except _TooLarge:
            if started:
                raise
            await _too_large(most)(scope, receive, send)

    def _limit(self, scope: Scope) -> int:
        content_type = Headers(scope=scope).get("content-type", "").lower()
        is_form = content_type.startswith("multipart/form-data")
        return self._most_form_bytes if is_form else self._most_bytes


def _too_large(most: int) -> JSONResponse:
    message = f"The request body is larger than {most} bytes."
    return JSONResponse(
        {"errors": [{"message": message, "extensions": {"code": "BODY_TOO_LARGE"}}]},
        status_code=413,
        headers={"Connection": "close"},
    )
