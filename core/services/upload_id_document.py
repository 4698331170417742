"""上传身份证 upload ID document: one side at a time, photographed in landscape."""

from dataclasses import dataclass, field

from core import audit, pictures, uploads
from core.audit import Action
from core.documents import process_document
from core.pictures import PictureKind
from core.unit import Errand, Unit
from core.uploads import KeptPicture


@dataclass(frozen=True, slots=True)
class UploadIdDocument:
    """`side` is PORTRAIT_SIDE (人像面) or EMBLEM_SIDE (国徽面)."""

    side: PictureKind
    data: bytes = field(repr=False)


async def keep_id_document(errand: Errand, command: UploadIdDocument) -> KeptPicture:
    return await uploads.keep(errand, command.data, process_document)


async def upload_id_document(
    unit: Unit, command: UploadIdDocument, kept: KeptPicture
) -> PictureKind:
    picture_id = await pictures.add(
        unit.db,
        unit.now,
        citizen_id=unit.citizen_id,
        kind=command.side,
        object_name=kept.object_name,
        size=kept.size,
    )
    await audit.record(unit, unit.citizen_id, Action.UPLOAD_ID_DOCUMENT, picture=picture_id)
    return command.side
