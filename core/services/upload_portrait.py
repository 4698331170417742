"""上传照片 upload portrait: processed at once, and shown before it is confirmed."""

from dataclasses import dataclass, field

from core import audit, pictures, uploads
from core.audit import Action
from core.clock import Instant
from core.pictures import PictureKind
from core.portraits import process_portrait
from core.unit import Errand, Unit
from core.uploads import KeptPicture


@dataclass(frozen=True, slots=True)
class UploadPortrait:
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PortraitPreview:
    portrait_id: int
    uploaded_at: Instant


async def keep_portrait(errand: Errand, command: UploadPortrait) -> KeptPicture:
    settings = errand.tools.settings
    return await uploads.keep(
        errand,
        command.data,
        process_portrait,
        settings.portrait_min_kb * 1024,
        settings.portrait_max_kb * 1024,
    )


async def upload_portrait(unit: Unit, _: UploadPortrait, kept: KeptPicture) -> PortraitPreview:
    picture_id = await pictures.add(
        unit.db,
        unit.now,
        citizen_id=unit.citizen_id,
        kind=PictureKind.PORTRAIT,
        object_name=kept.object_name,
        size=kept.size,
    )
    await audit.record(unit, unit.citizen_id, Action.UPLOAD_PORTRAIT, picture=picture_id)
    return PortraitPreview(picture_id, unit.now)
