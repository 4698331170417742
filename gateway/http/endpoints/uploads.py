"""Resumable uploads: a plain `PUT` that can be continued after a connection was lost.

    PUT  /uploads/{id}?…                              the whole file, from its start
    PUT  /uploads/{id}?…   Content-Range: bytes 524288-1048575/3000000    a part of it
    HEAD /uploads/{id}?…                              how much was received: `Upload-Offset`

Bytes received before a connection was lost are stored, and `Upload-Offset` says where to
continue. Every response carries `Upload-Offset` and `Upload-Length`, in bytes, and
`Upload-Complete` (?1 or ?0), as defined by the IETF draft "Resumable Uploads for HTTP".
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from core.kernel.refusals import (
    FileTooLarge,
    InvalidFormat,
    NoSuchUpload,
    Refusal,
    Text,
    TryAgainLater,
    UploadOutOfStep,
)
from core.services.request_upload import ReceivePart, receive_part, start_over, store_part
from core.storage import PART_BYTES, ResumableUpload, resumable_uploads
from gateway.http.edge import head_of
from gateway.resolvers.context import Application, Context
from gateway.resolvers.run import run
from gateway.resolvers.signed_links import LinkKind, is_permitted

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,10})-([0-9]{1,10})/([0-9]{1,10})")
_STATUS: dict[type[Refusal], int] = {
    NoSuchUpload: 404,
    UploadOutOfStep: 409,
    FileTooLarge: 413,
    TryAgainLater: 503,
}
_RANGE = Text("Content-Range", "Content-Range")
_RANGE_RULE = Text("如 bytes 0-524287/3000000", "like bytes 0-524287/3000000")


def upload_endpoint(application: Application) -> Callable[[Request], Awaitable[Response]]:
    async def upload(request: Request) -> Response:
        context = Context(
            application=application,
            language=head_of(request).language,
            address=request.client.host if request.client else "",
            caller=None,
        )
        try:
            found = await _find(application, request)
        except Refusal as refusal:
            return _refused(context, refusal, None)
        if request.method == "HEAD":
            return Response(status_code=204, headers=_headers(found))
        receiving = _Receiving(context, found)
        try:
            await receiving.receive(request)
        except Refusal as refusal:
            return _refused(context, refusal, receiving.upload)
        return _answer(receiving.upload)

    return upload


class _Receiving:
    """One `PUT`. Stores part after part, and the last one even if the connection was lost."""

    def __init__(self, context: Context, upload: ResumableUpload) -> None:
        self._context = context
        self.upload = upload

    async def receive(self, request: Request) -> None:
        await self._seek(head_of(request).get(b"content-range"))
        waiting = bytearray()
        async for chunk in _chunks(request):
            waiting += chunk
            if self.upload.received + len(waiting) > self.upload.size:
                raise FileTooLarge(most=self._max_megabytes())
            if len(waiting) >= PART_BYTES:
                await self._store(waiting)
        if waiting:
            await self._store(waiting)

    async def _seek(self, content_range: str | None) -> None:
        if content_range is None:
            if self.upload.received:
                self.upload = await run(self._context, start_over, self.upload, action=None)
            return
        found = _CONTENT_RANGE.fullmatch(content_range)
        if found is None:
            raise InvalidFormat(label=_RANGE, rule=_RANGE_RULE)
        first, _, size = map(int, found.groups())
        if first != self.upload.received or size != self.upload.size:
            raise UploadOutOfStep

    async def _store(self, waiting: bytearray) -> None:
        part = ReceivePart(self.upload, bytes(waiting))
        waiting.clear()
        self.upload = await run(self._context, receive_part, part, action=None, first=store_part)

    def _max_megabytes(self) -> int:
        return self._context.dependencies.settings.max_upload_bytes // 1_048_576


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        return


async def _find(application: Application, request: Request) -> ResumableUpload:
    upload_id, seals = request.path_params["upload_id"], application.dependencies.seals
    query, now = request.query_params, application.clock()
    if not is_permitted(seals, LinkKind.UPLOAD, upload_id, query, now):
        raise NoSuchUpload
    found = await resumable_uploads.find(application.database, upload_id)
    if found is None:
        raise NoSuchUpload
    return found


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
