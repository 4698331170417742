"""What a citizen has uploaded: the portrait and the sides of the ID card."""

from collections.abc import Mapping

import strawberry

from core.storage import Picture, PictureKind
from gateway.resolvers.context import Context
from gateway.resolvers.signed_links import picture_link
from gateway.schema.id_document_types import IdDocumentSide


@strawberry.type(description="已上传照片 · The portrait of the application.")
class UploadedPicture:
    portrait_id: strawberry.ID = strawberry.field(
        description="照片编号 · For `confirmPortrait` and `deletePicture`."
    )
    url: str = strawberry.field(description="预览地址 · A link to the picture, valid ten minutes.")
    confirmed: bool = strawberry.field(description="是否已确认 · Whether it was confirmed.")


@strawberry.type(description="已上传证件照 · A side of the ID card, straightened.")
class UploadedIdDocument:
    picture_id: strawberry.ID = strawberry.field(description="照片编号 · For `deletePicture`.")
    side: IdDocumentSide = strawberry.field(description="身份证面 · Which side.")
    url: str = strawberry.field(description="预览地址 · A link to the picture, valid ten minutes.")
    confirmed: bool = strawberry.field(description="是否已确认 · Whether it was confirmed.")


def portrait_of(
    context: Context, pictures: Mapping[PictureKind, Picture]
) -> UploadedPicture | None:
    picture = pictures.get(PictureKind.PORTRAIT)
    if picture is None:
        return None
    return UploadedPicture(
        portrait_id=strawberry.ID(str(picture.id)),
        url=picture_link(context, picture.id),
        confirmed=picture.confirmed,
    )


def id_documents_of(
    context: Context, pictures: Mapping[PictureKind, Picture]
) -> list[UploadedIdDocument]:
    return [
        UploadedIdDocument(
            picture_id=strawberry.ID(str(picture.id)),
            side=side,
            url=picture_link(context, picture.id),
            confirmed=picture.confirmed,
        )
        for side in IdDocumentSide
        if (picture := pictures.get(PictureKind(side.value))) is not None
    ]
