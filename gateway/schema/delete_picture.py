"""删除照片 deletePicture."""

from typing import Annotated

import strawberry

from core.audit import Action
from core.kernel.ids import id_from
from core.services.delete_picture import DeletePicture, delete_picture
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import Info
from gateway.schema.levels import NEEDS_PERSON


@strawberry.type(description="照片已删除 · The picture is gone from the application form.")
class PictureDeleted:
    picture_id: strawberry.ID = strawberry.field(description="照片编号 · Which picture.")


DeletePictureResult = Annotated[
    PictureDeleted | RefusalPayload,
    strawberry.union("DeletePictureResult", description="删除照片结果 · Deleted or refusal."),
]


@strawberry.type
class DeletePictureMutation:
    @strawberry.mutation(
        directives=[NEEDS_PERSON],
        description="删除照片 · 删除照片请单击照片: takes back a portrait or a side of the ID card that was not "
        "submitted yet, with those that it replaced. Other pictures stay as they are.",
    )
    async def delete_picture(
        self,
        info: Info,
        picture_id: Annotated[
            strawberry.ID,
            strawberry.argument(
                description="照片编号 · `portraitId` of a portrait, `pictureId` of a side of the ID card."
            ),
        ],
    ) -> DeletePictureResult:
        info.context.require_citizen()
        command = DeletePicture(picture_id=id_from(picture_id))
        deleted = await run(info.context, delete_picture, command, action=Action.DELETE_PICTURE)
        return PictureDeleted(picture_id=strawberry.ID(str(deleted)))
