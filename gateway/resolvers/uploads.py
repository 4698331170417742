"""Uploaded files: read once, never more than the limit."""

from starlette.datastructures import UploadFile
from strawberry.file_uploads import Upload

from core.errors import FileTooLarge, UnreadableImage
from gateway.resolvers.context import Context


async def read_upload(context: Context, file: Upload) -> bytes:
    if not isinstance(file, UploadFile):
        raise UnreadableImage(field="file")
    most = context.tools.settings.max_upload_bytes
    data = await file.read(most + 1)
    if len(data) > most:
        raise FileTooLarge(field="file", most=most // 1_048_576)
    return data
