"""确认照片 confirm portrait: the citizen confirms the processed picture."""

from dataclasses import dataclass

from core import audit
from core.audit import Action
from core.kernel.refusals import NoSuchPortrait, PortraitNotAccepted
from core.storage import PictureKind, pictures
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ConfirmPortrait:
    portrait_id: int


async def confirm_portrait(unit: UnitOfWork, command: ConfirmPortrait) -> int:
    """Returns the portrait's id. Only the newest portrait can be confirmed."""
    await unit.head(unit.citizen_id)
    stored = await pictures.latest(unit.db, unit.citizen_id)
    refused = stored.get(PictureKind.PORTRAIT_REFUSED)
    if refused is not None and refused.id == command.portrait_id:
        raise PortraitNotAccepted(field="portraitId")
    portrait = stored.get(PictureKind.PORTRAIT)
    if portrait is None or portrait.id != command.portrait_id:
        raise NoSuchPortrait(field="portraitId")
    pictures.confirm(unit.writes, portrait, unit.now)
    await audit.record(unit, unit.citizen_id, Action.CONFIRM_PORTRAIT, picture=portrait.id)
    return portrait.id
