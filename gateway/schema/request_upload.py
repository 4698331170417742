"""断点续传 requestUpload."""

from datetime import datetime
from typing import Annotated

import strawberry

from core.audit import Action
from core.kernel.clock import moment
from core.services.request_upload import RequestUpload, request_upload
from gateway.resolvers.run import run
from gateway.resolvers.signed_links import upload_link
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON


@strawberry.input(description="断点续传 · The file that will be sent.")
class RequestUploadInput:
    size: int = strawberry.field(description="文件大小 · In bytes, at most 10 MiB.")


@strawberry.type(description="上传地址 · Where to `PUT` the file, at once or in parts.")
class UploadRequested:
    upload_id: strawberry.ID = strawberry.field(
        description="上传编号 · For `uploadPortraitFrom` and `uploadIdDocumentFrom`, within a day."
    )
    url: str = strawberry.field(
        description="上传地址 · `PUT` the bytes here. After a lost connection, `HEAD` returns in `Upload-Offset` "
        "how many were received; resume with `Content-Range: bytes <offset>-<last>/<size>`."
    )
    expires_at: datetime = strawberry.field(
        description="失效时间 · Until when the address accepts data."
    )


RequestUploadResult = Annotated[
    UploadRequested | RefusalPayload,
    strawberry.union("RequestUploadResult", description="断点续传结果 · Address or refusal."),
]


@strawberry.type
class UploadMutation:
    @strawberry.mutation(
        directives=[NEEDS_PERSON],
        description="断点续传 · Returns an address for a resumable upload, for poor mobile networks.",
    )
    async def request_upload(
        self, info: Info, input: Annotated[RequestUploadInput, FORM]
    ) -> RequestUploadResult:
        info.context.require_citizen()
        upload = await run(
            info.context,
            request_upload,
            RequestUpload(size=input.size),
            action=Action.REQUEST_UPLOAD,
        )
        return UploadRequested(
            upload_id=strawberry.ID(str(upload.id)),
            url=upload_link(info.context, upload),
            expires_at=moment(upload.expires_at),
        )
