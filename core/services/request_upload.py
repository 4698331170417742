"""断点续传 resumable upload: request an upload, send the file in parts, then use it by its id."""

from dataclasses import dataclass, field

from core import audit
from core.audit import Action
from core.citizens import Limit, quotas, sessions
from core.kernel.clock import HOUR, seconds_until
from core.kernel.refusals import (
    FileEmpty,
    FileTooLarge,
    NoSuchUpload,
    TooManyUploads,
    TryAgainLater,
    UploadIncomplete,
    UploadOutOfStep,
)
from core.storage import ObjectsUnavailable, ResumableUpload, resumable_uploads
from core.unit_of_work import Preparation, UnitOfWork

_UPLOADS = (Limit(30, HOUR),)
_BUSY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class RequestUpload:
    """`size` of the complete file in bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class ReceivePart:
    """`data` follows the `upload.received` bytes before it. `session_id` is that of the link."""

    upload: ResumableUpload
    session_id: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReadUpload:
    upload_id: int


async def request_upload(unit: UnitOfWork, command: RequestUpload) -> ResumableUpload:
    citizen_id, most = unit.citizen_id, unit.dependencies.settings.max_upload_bytes
    if command.size < 1:
        raise FileEmpty(field="size")
    if command.size > most:
        raise FileTooLarge(field="size", most=most // 1_048_576)
    keys = unit.dependencies.vault.indexes(str(citizen_id), "upload")
    free_at = await quotas.consume(unit.db, unit.writes, [(keys, _UPLOADS)], unit.now)
    if free_at:
        raise TooManyUploads(retry_after=seconds_until(free_at, unit.now))
    upload = resumable_uploads.open_upload(
        unit.writes, unit.now, citizen_id=citizen_id, size=command.size
    )
    await audit.record(unit, citizen_id, Action.REQUEST_UPLOAD, upload=upload.id)
    return upload


async def store_part(preparation: Preparation, command: ReceivePart) -> str:
    try:
        return await preparation.dependencies.objects.put(
            command.data, command.upload.citizen_id, preparation.now
        )
    except ObjectsUnavailable as error:
        raise TryAgainLater(retry_after=_BUSY_SECONDS) from error


async def receive_part(unit: UnitOfWork, command: ReceivePart, part: str) -> ResumableUpload:
    upload = await _find(unit, command.upload)
    if not await sessions.is_open(unit.db, upload.citizen_id, command.session_id, unit.now):
        raise NoSuchUpload
    if upload.received != command.upload.received:
        raise UploadOutOfStep
    return resumable_uploads.add_part(unit.writes, upload, len(command.data), part)


async def start_over(unit: UnitOfWork, upload: ResumableUpload) -> ResumableUpload:
    """Discards the received parts, for a client that does not support offsets."""
    return resumable_uploads.start_over(unit.writes, await _find(unit, upload))


async def _find(unit: UnitOfWork, upload: ResumableUpload) -> ResumableUpload:
    found = await resumable_uploads.find(unit.db, upload.citizen_id, upload.id)
    if found is None:
        raise NoSuchUpload
    return found


async def read_upload(preparation: Preparation, command: ReadUpload) -> bytes:
    """The complete file. A missing upload and one of another citizen are refused alike."""
    upload = await resumable_uploads.find(preparation.db, preparation.citizen_id, command.upload_id)
    if upload is None:
        raise NoSuchUpload(field="uploadId")
    if not upload.is_complete:
        raise UploadIncomplete(field="uploadId", received=upload.received, size=upload.size)
    objects = preparation.dependencies.objects
    try:
        return b"".join([await objects.get(part, upload.citizen_id) for part in upload.parts])
    except ObjectsUnavailable as error:
        raise TryAgainLater(retry_after=_BUSY_SECONDS) from error
