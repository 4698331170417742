"""Resumable uploads: a plain `PUT` that can be continued after a connection was lost.

    PUT  /uploads/{id}?…                              the whole file, from its start
    PUT  /uploads/{id}?…   Content-Range: bytes 524288-1048575/3000000    a part of it
    HEAD /uploads/{id}?…                              how much was received: `Upload-Offset`

Bytes received before a connection was lost are stored, and `Upload-Offset` says where to
continue. A body of another length than its `Content-Range` says is refused. Every response carries `Upload-Offset` and `Upload-Length`, in bytes, and
`Upload-Complete` (?1 or ?0), as defined by the IETF draft "Resumable Uploads for HTTP".
"""

import re
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from core.kernel.refusals import (
    FileTooLarge,
    InvalidFormat,
    NoSuchUpload,
    OutcomeUnknown,
    Refusal,
    TryAgainLater,
    UploadOutOfStep,
)
from core.kernel.texts import Text
from core.services.request_upload import ReceivePart, receive_part, start_over, store_part
from core.storage import PART_BYTES, ResumableUpload, resumable_uploads
from gateway.http.edge import head_of
from gateway.resolvers.context import Application, Context
from gateway.resolvers.run import run
from gateway.resolvers.signed_links import LinkKind, opened

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,10})-([0-9]{1,10})/([0-9]{1,10})")
_STATUS: dict[type[Refusal], int] = {
    NoSuchUpload: 404,
    UploadOutOfStep: 409,
    FileTooLarge: 413,
    TryAgainLater: 503,
    OutcomeUnknown: 503,
}
_RANGE = Text("Content-Range", "Content-Range")
_RANGE_RULE = Text("如 bytes 0-524287/3000000", "like bytes 0-524287/3000000")
_LENGTH_RULE = Text("须与请求内容的长度一致", "must have the length of the body")


def upload_endpoint(application: Application) -> Callable[[Request], Awaitable[Response]]:
    async def upload(request: Request) -> Response:
        context = Context(
            application=application,
            language=head_of(request).language,
            address=request.client.host if request.client else "",
            caller=None,
        )
        try:
            found, session_id = await _find(application, request)
        except Refusal as refusal:
            return _refused(context, refusal, None)
        if request.method == "HEAD":
            return Response(status_code=204, headers=_headers(found))
        receiving = _Receiving(context, found, session_id)
        try:
            await receiving.receive(request)
        except Refusal as refusal:
            return _refused(context, refusal, receiving.upload)
        return _answer(receiving.upload)

    return upload


class _Receiving:
    """One `PUT`. Stores part after part, and the last one even if the connection was lost."""

    def __init__(self, context: Context, upload: ResumableUpload, session_id: int) -> None:
        self._context = context
        self._session_id = session_id
        self.upload = upload

    async def receive(self, request: Request) -> None:
        head = head_of(request)
        expected = await self._seek(head.get(b"content-range"), head.text(b"content-length"))
        waiting, arrived = bytearray(), 0
        try:
            async for chunk in request.stream():
                waiting += chunk
                arrived += len(chunk)
                if self.upload.received + len(waiting) > self.upload.size:
                    raise FileTooLarge(most=self._max_megabytes())
                if expected is not None and arrived > expected:
                    raise _wrong_length()
                if len(waiting) >= PART_BYTES:
                    await self._store(waiting)
        except ClientDisconnect:
            pass  # what has arrived is kept
        else:
            if expected is not None and arrived < expected:
                raise _wrong_length()
        if waiting:
            await self._store(waiting)

    async def _seek(self, content_range: str | None, content_length: str) -> int | None:
        """The length of the body, if `Content-Range` says it."""
        if content_range is None:
            if self.upload.received:
                self.upload = await run(self._context, start_over, self.upload, action=None)
            return None
        found = _CONTENT_RANGE.fullmatch(content_range)
        if found is None:
            raise InvalidFormat(label=_RANGE, rule=_RANGE_RULE)
        first, last, size = map(int, found.groups())
        if not first <= last < size:
            raise InvalidFormat(label=_RANGE, rule=_RANGE_RULE)
        if first != self.upload.received or size != self.upload.size:
            raise UploadOutOfStep
        length = last - first + 1
        if content_length and content_length != str(length):
            raise _wrong_length()
        return length

    async def _store(self, waiting: bytearray) -> None:
        part = ReceivePart(self.upload, self._session_id, bytes(waiting))
        waiting.clear()
        self.upload = await run(self._context, receive_part, part, action=None, first=store_part)

    def _max_megabytes(self) -> int:
        return self._context.dependencies.settings.max_upload_bytes // 1_048_576


def _wrong_length() -> InvalidFormat:
    return InvalidFormat(label=_RANGE, rule=_LENGTH_RULE)


async def _find(application: Application, request: Request) -> tuple[ResumableUpload, int]:
    """The upload, and the session that its link was made in."""
    upload_id = request.path_params["upload_id"]
    link = await opened(application, LinkKind.UPLOAD, upload_id, request.query_params)
    if link is None:
        raise NoSuchUpload
    found = await resumable_uploads.find(application.database, link.citizen_id, upload_id)
    if found is None:
        raise NoSuchUpload
    return found, link.session_id


def _answer(upload: ResumableUpload) -> Response:
    body = {"received": upload.received, "size": upload.size, "complete": upload.is_complete}
    return JSONResponse(body, 200 if upload.is_complete else 202, headers=_headers(upload))


def _refused(context: Context, refusal: Refusal, upload: ResumableUpload | None) -> Response:
    status = _STATUS.get(type(refusal), 400)
    body = {"code": refusal.code.value, "message": refusal.message(context.language)}
    headers = _headers(upload) if upload else {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if status == 413:
        headers["Connection"] = "close"
    return JSONResponse(body, status, headers=headers)


def _headers(upload: ResumableUpload) -> dict[str, str]:
    return {
        "Upload-Offset": str(upload.received),
        "Upload-Length": str(upload.size),
        "Upload-Complete": "?1" if upload.is_complete else "?0",
        "Cache-Control": "no-store",
    }
