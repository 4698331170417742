"""上传身份证 uploadIdDocument and confirmIdDocuments."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.file_uploads import Upload

from core.audit import Action
from core.imaging import DOCUMENT_CHECK_NAMES, DocumentCheckCode, Point, document_advice
from core.kernel.clock import moment
from core.services.confirm_id_documents import confirm_id_documents
from core.services.upload_id_document import (
    UploadIdDocument,
    review_id_document,
    upload_id_document,
)
from gateway.resolvers.context import Context
from gateway.resolvers.run import run
from gateway.resolvers.signed_links import picture_link
from gateway.resolvers.uploads import read_upload, read_uploaded
from gateway.schema.checks import PictureCheck
from gateway.schema.enums import publish
from gateway.schema.errors import RefusalPayload
from gateway.schema.id_document_types import FieldSuggestion, IdDocumentSide, suggestion_of
from gateway.schema.info import PICTURE, UPLOAD_ID, Info
from gateway.schema.levels import NEEDS_PERSON

publish(
    DocumentCheckCode,
    "证件预审项目代码 · The checks, named for the possible fault.",
    DOCUMENT_CHECK_NAMES,
)


@strawberry.type(
    description="证件预审项目 · One check of the picture; all possible checks are returned."
)
class IdDocumentCheck(PictureCheck[DocumentCheckCode]):
    pass


@strawberry.type(
    description="角点 · A corner of the card in the picture that was sent, upright: "
    "shares of its width and height from the upper left."
)
class IdDocumentCorner:
    x: float = strawberry.field(description="横坐标 · Share of the width.")
    y: float = strawberry.field(description="纵坐标 · Share of the height.")


@strawberry.type(
    description="同一照片中的另一面 · The other side of the ID card, found beside the one that was "
    "asked for: people photograph or scan both at once."
)
class IdDocumentOtherSide:
    side: IdDocumentSide = strawberry.field(description="身份证面 · Which side it is.")
    corners: list[IdDocumentCorner] = strawberry.field(
        description="四角 · Its corners in the picture, from its upper left clockwise."
    )


@strawberry.type(
    description="身份证照片已上传 · One side, detected and straightened. It is stored if it was "
    "accepted; otherwise nothing changed, and `checks` lists all faults."
)
class IdDocumentUploaded:
    side: IdDocumentSide = strawberry.field(description="身份证面 · Which side was asked for.")
    accepted: bool = strawberry.field(description="预审是否通过 · Whether it can be confirmed.")
    checks: list[IdDocumentCheck] = strawberry.field(
        description="预审项目 · Everything that was checked; without a card, what could be."
    )
    recognised_side: IdDocumentSide | None = strawberry.field(
        description="识别到的面 · The recognised side; null if no card was found."
    )
    corners: list[IdDocumentCorner] = strawberry.field(
        description="四角 · The card's own corners, from its upper left clockwise; "
        "empty if no card was found."
    )
    other_side: IdDocumentOtherSide | None = strawberry.field(
        description="另一面 · The card's other side, if it is in the same picture: send the same file "
        "again for that side. Null if it is not."
    )
    picture_id: strawberry.ID | None = strawberry.field(
        description="照片编号 · For `deletePicture`; null if it was not accepted."
    )
    url: str | None = strawberry.field(
        description="预览地址 · A link to the straightened card, valid ten minutes; "
        "null if it was not accepted."
    )
    read_fields: list[FieldSuggestion] = strawberry.field(
        description="识别结果 · Recognised text, as suggestions for the form; "
        "empty if the gateway runs without OCR."
    )


@strawberry.type(description="身份证照片已确认 · Both sides are confirmed.")
class IdDocumentsConfirmed:
    at: datetime = strawberry.field(description="时间 · When.")


UploadIdDocumentResult = Annotated[
    IdDocumentUploaded | RefusalPayload,
    strawberry.union("UploadIdDocumentResult", description="上传身份证结果 · Result or refusal."),
]
ConfirmIdDocumentsResult = Annotated[
    IdDocumentsConfirmed | RefusalPayload,
    strawberry.union(
        "ConfirmIdDocumentsResult", description="确认身份证结果 · Confirmed or refusal."
    ),
]


@strawberry.type
class IdDocumentMutation:
    @strawberry.mutation(
        directives=[NEEDS_PERSON],
        description="上传身份证 · One side, found in the photograph and straightened, "
        "whichever way it lay; of a picture with both sides, the one that is asked for; JPEG, HEIC, PNG or WebP, at most 10 MB.",
    )
    async def upload_id_document(
        self,
        info: Info,
        side: Annotated[IdDocumentSide, strawberry.argument(description="身份证面 · Which side.")],
        file: Annotated[Upload, PICTURE],
    ) -> UploadIdDocumentResult:
        info.context.require_citizen()
        return await _store(info.context, side, await read_upload(info.context, file))

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
        info.context.require_citizen()
        return await _store(info.context, side, await read_uploaded(info.context, upload_id))

    @strawberry.mutation(
        directives=[NEEDS_PERSON], description="确认身份证 · Accepts both sides as uploaded last."
    )
    async def confirm_id_documents(self, info: Info) -> ConfirmIdDocumentsResult:
        info.context.require_citizen()
        return IdDocumentsConfirmed(
            at=moment(
                await run(
                    info.context, confirm_id_documents, None, action=Action.CONFIRM_ID_DOCUMENTS
                )
            )
        )


async def _store(context: Context, side: IdDocumentSide, data: bytes) -> IdDocumentUploaded:
    command = UploadIdDocument(side=side, data=data)
    preview = await run(
        context,
        upload_id_document,
        command,
        action=Action.UPLOAD_ID_DOCUMENT,
        first=review_id_document,
    )
    picture_id, other = preview.picture_id, preview.other_side
    return IdDocumentUploaded(
        side=preview.side,
        accepted=picture_id is not None,
        checks=[
            IdDocumentCheck.from_core(check, document_advice(check, context.language))
            for check in preview.checks
        ],
        recognised_side=preview.recognised,
        corners=_corners(preview.corners),
        other_side=None
        if other is None
        else IdDocumentOtherSide(side=other.side, corners=_corners(other.corners)),
        picture_id=None if picture_id is None else strawberry.ID(str(picture_id)),
        url=None if picture_id is None else picture_link(context, picture_id),
        read_fields=[suggestion_of(read, context) for read in preview.read],
    )


def _corners(points: tuple[Point, ...]) -> list[IdDocumentCorner]:
    return [IdDocumentCorner(x=point.x, y=point.y) for point in points]
