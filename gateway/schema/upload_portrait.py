"""上传照片 uploadPortrait and confirmPortrait."""

from typing import Annotated

import strawberry
from strawberry.file_uploads import Upload

from core.audit import Action
from core.imaging import PORTRAIT_CHECK_NAMES, CheckCode, Geometry, portrait_advice
from core.kernel.ids import id_from
from core.services.confirm_portrait import ConfirmPortrait, confirm_portrait
from core.services.upload_portrait import UploadPortrait, review_portrait, upload_portrait
from gateway.resolvers.context import Context
from gateway.resolvers.run import run
from gateway.resolvers.signed_links import picture_link, with_overlay
from gateway.resolvers.uploads import read_upload, read_uploaded
from gateway.schema.checks import PictureCheck
from gateway.schema.enums import publish
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import PICTURE, UPLOAD_ID, Info
from gateway.schema.levels import NEEDS_PERSON

publish(
    CheckCode,
    "预审项目代码 · The checks, named for the possible fault.",
    PORTRAIT_CHECK_NAMES,
)


@strawberry.type(
    description="预审项目 · One check of the picture; all checks are made and returned."
)
class PortraitCheck(PictureCheck[CheckCode]):
    pass


@strawberry.type(
    description="头部位置 · Where the head lies in the processed picture of 358×441 px, "
    "in pixels from its upper left corner."
)
class PortraitGeometry:
    crown: int = strawberry.field(description="头顶 · Row of the crown; 7 to 21 is asked for.")
    eye_line: int = strawberry.field(
        description="双眼连线 · Row of the eyes; at most 234, which is 207 above the lower edge."
    )
    eye_x: int = strawberry.field(
        description="双眼中点 · Column of the middle between the eyes; 162 to 196."
    )
    chin: int | None = strawberry.field(
        description="下巴 · Row of the chin; null where the landmark models are not installed."
    )
    face_left: int = strawberry.field(description="脸部左缘 · Column of the face's left side.")
    face_right: int = strawberry.field(
        description="脸部右缘 · Column of its right side; 179 to 255 further on."
    )

    @classmethod
    def from_core(cls, found: Geometry) -> "PortraitGeometry":
        return cls(
            crown=found.crown,
            eye_line=found.eye_line,
            eye_x=found.eye_x,
            chin=found.chin,
            face_left=found.face_left,
            face_right=found.face_right,
        )


@strawberry.type(
    description="自动处理后照片预览 · The processed portrait: to be confirmed where it was "
    "accepted, else shown with what is wrong. One that was not accepted takes the place of no other."
)
class PortraitPreview:
    portrait_id: strawberry.ID = strawberry.field(
        description="照片编号 · For `confirmPortrait` and `deletePicture`."
    )
    url: str = strawberry.field(description="预览地址 · A link to the picture, valid ten minutes.")
    overlay_url: str | None = strawberry.field(
        description="带参考线的预览地址 · The same with the head's geometry drawn over it: blue "
        "where crown, eyes and sides of the face may lie, green lines where they lie well, red "
        "where they do not. Null without a face."
    )
    accepted: bool = strawberry.field(description="预审是否通过 · Whether it can be confirmed.")
    checks: list[PortraitCheck] = strawberry.field(
        description="预审项目 · Everything that was checked; without a face, what could be."
    )
    geometry: PortraitGeometry | None = strawberry.field(
        description="头部位置 · Null without a face."
    )


@strawberry.type(description="照片已确认 · The portrait will be printed on the card.")
class PortraitConfirmed:
    portrait_id: strawberry.ID = strawberry.field(description="照片编号 · Which portrait.")


UploadPortraitResult = Annotated[
    PortraitPreview | RefusalPayload,
    strawberry.union("UploadPortraitResult", description="上传照片结果 · Preview or refusal."),
]
ConfirmPortraitResult = Annotated[
    PortraitConfirmed | RefusalPayload,
    strawberry.union("ConfirmPortraitResult", description="确认照片结果 · Confirmed or refusal."),
]


@strawberry.type
class PortraitMutation:
    @strawberry.mutation(
        directives=[NEEDS_PERSON],
        description="上传照片 · 本人二寸白底彩色照片; JPEG, HEIC, PNG or WebP, at most 10 MB. "
        "Sent by the GraphQL multipart request specification.",
    )
    async def upload_portrait(
        self, info: Info, file: Annotated[Upload, PICTURE]
    ) -> UploadPortraitResult:
        info.context.require_citizen()
        return await _preview(info.context, await read_upload(info.context, file))

    @strawberry.mutation(
        directives=[NEEDS_PERSON],
        description="使用已上传的照片 · As `uploadPortrait`, with a file that was sent to a "
        "`requestUpload` address.",
    )
    async def upload_portrait_from(
        self, info: Info, upload_id: Annotated[strawberry.ID, UPLOAD_ID]
    ) -> UploadPortraitResult:
        info.context.require_citizen()
        return await _preview(info.context, await read_uploaded(info.context, upload_id))

    @strawberry.mutation(
        directives=[NEEDS_PERSON], description="确认照片 · Accepts the processed portrait."
    )
    async def confirm_portrait(
        self,
        info: Info,
        portrait_id: Annotated[
            strawberry.ID,
            strawberry.argument(description="照片编号 · Of the newest `PortraitPreview`."),
        ],
    ) -> ConfirmPortraitResult:
        info.context.require_citizen()
        command = ConfirmPortrait(portrait_id=id_from(portrait_id))
        confirmed = await run(
            info.context, confirm_portrait, command, action=Action.CONFIRM_PORTRAIT
        )
        return PortraitConfirmed(portrait_id=strawberry.ID(str(confirmed)))


async def _preview(context: Context, data: bytes) -> PortraitPreview:
    command = UploadPortrait(data=data)
    preview = await run(
        context, upload_portrait, command, action=Action.UPLOAD_PORTRAIT, first=review_portrait
    )
    url, geometry = picture_link(context, preview.portrait_id), preview.geometry
    return PortraitPreview(
        portrait_id=strawberry.ID(str(preview.portrait_id)),
        url=url,
        overlay_url=None if geometry is None else with_overlay(url, geometry),
        accepted=preview.accepted,
        checks=[
            PortraitCheck.from_core(check, portrait_advice(check, context.language))
            for check in preview.checks
        ],
        geometry=None if geometry is None else PortraitGeometry.from_core(geometry),
    )
