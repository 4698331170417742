"""上传身份证 uploadIdDocument and confirmIdDocuments."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import strawberry
from strawberry.file_uploads import Upload

from core.clock import moment
from core.errors import Text
from core.pictures import PictureKind
from core.services.confirm_id_documents import confirm_id_documents
from core.services.upload_id_document import (
    UploadIdDocument,
    keep_id_document,
    upload_id_document,
)
from gateway.resolvers.context import Context
from gateway.resolvers.run import run
from gateway.resolvers.uploads import read_upload, read_uploaded
from gateway.schema.enums import publish
from gateway.schema.errors import Refusal
from gateway.schema.info import PICTURE, UPLOAD_ID, Info
from gateway.schema.levels import NEEDS_PERSON


class IdDocumentSide(StrEnum):
    PORTRAIT_SIDE = "PORTRAIT_SIDE"
    EMBLEM_SIDE = "EMBLEM_SIDE"


publish(
    IdDocumentSide,
    "身份证面 · A side of the ID card.",
    {
        IdDocumentSide.PORTRAIT_SIDE: Text("人像面", "portrait side"),
        IdDocumentSide.EMBLEM_SIDE: Text("国徽面", "emblem side"),
    },
)


@strawberry.type(description="身份证照片已上传 · One side is kept.")
class IdDocumentUploaded:
    side: IdDocumentSide = strawberry.field(description="身份证面 · Which side.")
    accepted: bool = strawberry.field(description="预审是否通过 · Whether it can be confirmed.")


@strawberry.type(description="身份证照片已确认 · Both sides are confirmed.")
class IdDocumentsConfirmed:
    at: datetime = strawberry.field(description="时间 · When.")


UploadIdDocumentResult = Annotated[
    IdDocumentUploaded | Refusal,
    strawberry.union("UploadIdDocumentResult", description="上传身份证结果 · Kept or refusal."),
]
ConfirmIdDocumentsResult = Annotated[
    IdDocumentsConfirmed | Refusal,
    strawberry.union(
        "ConfirmIdDocumentsResult", description="确认身份证结果 · Confirmed or refusal."
    ),
]


@strawberry.type
class IdDocumentMutation:
    @strawberry.mutation(
        directives=[NEEDS_PERSON],
        description="上传身份证 · One side, photographed in landscape; JPEG, PNG or WebP, at most 10 MB.",
    )
    async def upload_id_document(
        self,
        info: Info,
        side: Annotated[IdDocumentSide, strawberry.argument(description="身份证面 · Which side.")],
        file: Annotated[Upload, PICTURE],
    ) -> UploadIdDocumentResult:
        info.context.must_be_known()
        return await _keep(info.context, side, await read_upload(info.context, file))

    @strawberry.mutation(
        directives=[NEEDS_PERSON],
        description="使用已上传的身份证照片 · As `uploadIdDocument`, with a file that was sent to a "
        "`requestUpload` address.",
    )
    async def upload_id_document_from(
        self,
        info: Info,
        side: Annotated[IdDocumentSide, strawberry.argument(description="身份证面 · Which side.")],
        upload_id: Annotated[strawberry.ID, UPLOAD_ID],
    ) -> UploadIdDocumentResult:
        info.context.must_be_known()
        return await _keep(info.context, side, await read_uploaded(info.context, upload_id))

    @strawberry.mutation(
        directives=[NEEDS_PERSON], description="确认身份证 · Accepts both sides as uploaded last."
    )
    async def confirm_id_documents(self, info: Info) -> ConfirmIdDocumentsResult:
        info.context.must_be_known()
        return IdDocumentsConfirmed(at=moment(await run(info.context, confirm_id_documents, None)))


async def _keep(context: Context, side: IdDocumentSide, data: bytes) -> IdDocumentUploaded:
    command = UploadIdDocument(side=PictureKind(side.value), data=data)
    kept = await run(context, upload_id_document, command, first=keep_id_document)
    return IdDocumentUploaded(side=IdDocumentSide(kept.value), accepted=True)
