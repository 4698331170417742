"""Uploaded files: in a multipart request, or uploaded before by `requestUpload`."""

from starlette.datastructures import UploadFile
from strawberry.file_uploads import Upload

from core.kernel.ids import id_from
from core.kernel.refusals import FileTooLarge, UnreadableImage
from core.services.request_upload import ReadUpload
from core.services.request_upload import read_upload as read_whole
from gateway.resolvers.context import Context
from gateway.resolvers.run import read


async def read_upload(context: Context, file: Upload) -> bytes:
    if not isinstance(file, UploadFile):
        raise UnreadableImage(field="file")
    limit = context.dependencies.settings.max_upload_bytes
    data = await file.read(limit + 1)
    if len(data) > limit:
        raise FileTooLarge(field="file", most=limit // 1_048_576)
    return data


async def read_uploaded(context: Context, upload_id: str) -> bytes:
    return await read(context, read_whole, ReadUpload(id_from(upload_id)), action=None)
