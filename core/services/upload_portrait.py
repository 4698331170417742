"""上传照片 upload portrait: checked and processed immediately; the citizen sees and confirms the result.

A picture that fails the checks is stored so that it can be shown, but replaces no other.
"""

from dataclasses import dataclass, field

from core import audit
from core.audit import Action
from core.imaging import Check, Geometry, ProcessedPortrait, process_portrait
from core.kernel.clock import Instant
from core.storage import PictureKind, pictures
from core.unit_of_work import Preparation, StoredPicture, UnitOfWork, picture_intake


@dataclass(frozen=True, slots=True)
class UploadPortrait:
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reviewed:
    stored: StoredPicture
    found: ProcessedPortrait


@dataclass(frozen=True, slots=True)
class PortraitPreview:
    portrait_id: int
    uploaded_at: Instant
    accepted: bool
    checks: tuple[Check, ...]
    geometry: Geometry | None


async def review_portrait(preparation: Preparation, command: UploadPortrait) -> Reviewed:
    settings = preparation.dependencies.settings
    processed = await picture_intake.process(
        preparation,
        command.data,
        process_portrait,
        settings.portrait_min_kb * 1024,
        settings.portrait_max_kb * 1024,
    )
    return Reviewed(await picture_intake.store(preparation, processed.data), processed)


async def upload_portrait(
    unit: UnitOfWork, _: UploadPortrait, reviewed: Reviewed
) -> PortraitPreview:
    stored, found = reviewed.stored, reviewed.found
    picture_id = pictures.add(
        unit.writes,
        unit.now,
        citizen_id=unit.citizen_id,
        kind=PictureKind.PORTRAIT if found.accepted else PictureKind.PORTRAIT_REFUSED,
        object_name=stored.object_name,
        size=stored.size,
    )
    await audit.record(unit, unit.citizen_id, Action.UPLOAD_PORTRAIT, picture=picture_id)
    return PortraitPreview(picture_id, unit.now, found.accepted, found.checks, found.geometry)
