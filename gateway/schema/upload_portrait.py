"""上传照片 uploadPortrait and confirmPortrait."""

from typing import Annotated

import strawberry
from strawberry.file_uploads import Upload

from core.services.confirm_portrait import ConfirmPortrait, confirm_portrait
from core.services.upload_portrait import UploadPortrait, keep_portrait, upload_portrait
from gateway.resolvers.context import Context
from gateway.resolvers.picture_links import picture_link
from gateway.resolvers.run import run
from gateway.resolvers.uploads import read_upload, read_uploaded
from gateway.schema.errors import Refusal
from gateway.schema.info import PICTURE, UPLOAD_ID, Info
from gateway.schema.levels import NEEDS_PERSON


@strawberry.type(description="预审项目 · One check of the picture.")
class PortraitCheck:
    code: str = strawberry.field(description="项目代码 · Which check.")
    passed: bool = strawberry.field(description="是否通过 · Whether it passed.")
    message: str = strawberry.field(description="说明 · What was found, in words.")


@strawberry.type(description="自动处理后照片预览 · The processed portrait, to be confirmed.")
class PortraitPreview:
    portrait_id: strawberry.ID = strawberry.field(description="照片编号 · For `confirmPortrait`.")
    url: str = strawberry.field(description="预览地址 · A link to the picture, valid ten minutes.")
    accepted: bool = strawberry.field(description="预审是否通过 · Whether it can be confirmed.")
    checks: list[PortraitCheck] = strawberry.field(description="预审项目 · What was checked.")


@strawberry.type(description="照片已确认 · The portrait will be printed on the card.")
class PortraitConfirmed:
    portrait_id: strawberry.ID = strawberry.field(description="照片编号 · Which portrait.")


UploadPortraitResult = Annotated[
    PortraitPreview | Refusal,
    strawberry.union("UploadPortraitResult", description="上传照片结果 · Preview or refusal."),
]
ConfirmPortraitResult = Annotated[
    PortraitConfirmed | Refusal,
    strawberry.union("ConfirmPortraitResult", description="确认照片结果 · Confirmed or refusal."),
]

_CHECKS = {
    "READABLE": ("图片可以识别。", "The picture can be read."),
    "SIZE": ("像素足够，已处理为 358×441。", "It is large enough and was made 358×441 px."),
    "CLEAN": ("已去除拍摄信息。", "Its metadata was removed."),
}


@strawberry.type
class PortraitMutation:
    @strawberry.mutation(
        directives=[NEEDS_PERSON],
        description="上传照片 · 本人二寸白底彩色照片; JPEG, PNG or WebP, at most 10 MB. "
        "Sent by the GraphQL multipart request specification.",
    )
    async def upload_portrait(
        self, info: Info, file: Annotated[Upload, PICTURE]
    ) -> UploadPortraitResult:
        info.context.must_be_known()
        return await _preview(info.context, await read_upload(info.context, file))

    @strawberry.mutation(
        directives=[NEEDS_PERSON],
        description="使用已上传的照片 · As `uploadPortrait`, with a file that was sent to a "
        "`requestUpload` address.",
    )
    async def upload_portrait_from(
        self, info: Info, upload_id: Annotated[strawberry.ID, UPLOAD_ID]
    ) -> UploadPortraitResult:
        info.context.must_be_known()
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
        info.context.must_be_known()
        number = int(portrait_id) if portrait_id.isascii() and portrait_id.isdigit() else 0
        confirmed = await run(info.context, confirm_portrait, ConfirmPortrait(portrait_id=number))
        return PortraitConfirmed(portrait_id=strawberry.ID(str(confirmed)))


async def _preview(context: Context, data: bytes) -> PortraitPreview:
    command = UploadPortrait(data=data)
    preview = await run(context, upload_portrait, command, first=keep_portrait)
    english = context.language == "en"
    return PortraitPreview(
        portrait_id=strawberry.ID(str(preview.portrait_id)),
        url=picture_link(context, preview.portrait_id),
        accepted=True,
        checks=[
            PortraitCheck(code=code, passed=True, message=texts[english])
            for code, texts in _CHECKS.items()
        ],
    )
