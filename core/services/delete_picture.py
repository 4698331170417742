"""删除照片 delete picture: takes back a portrait or a side of the ID card before it is submitted.

Older pictures that it replaced go with it, and so does what was read off that side of the card.
"""

from dataclasses import dataclass

from core import audit
from core.applications import applications, prefills
from core.audit import Action
from core.imaging import Side
from core.kernel.refusals import NoSuchPicture, PictureSubmitted
from core.storage import Picture, PictureKind, pictures
from core.unit_of_work import UnitOfWork

_SIDES = {PictureKind.PORTRAIT_SIDE: Side.PORTRAIT_SIDE, PictureKind.EMBLEM_SIDE: Side.EMBLEM_SIDE}


@dataclass(frozen=True, slots=True)
class DeletePicture:
    picture_id: int


async def delete_picture(unit: UnitOfWork, command: DeletePicture) -> int:
    """Returns the picture's id. Only the newest of its kind, which the form shows, can be deleted."""
    citizen_id = unit.citizen_id
    await unit.head(citizen_id)
    picture = await _newest(unit, command.picture_id)
    submitted_until = await _submitted_until(unit, picture)
    pictures.delete_with_replaced(unit.writes, picture, submitted_until)
    side = _SIDES.get(picture.kind)
    if side is not None:
        vault = unit.dependencies.vault
        await prefills.save(unit.db, unit.writes, vault, citizen_id, side, (), unit.now)
    await audit.record(unit, citizen_id, Action.DELETE_PICTURE, picture=picture.id)
    return picture.id


async def _newest(unit: UnitOfWork, picture_id: int) -> Picture:
    for kind, picture in (await pictures.latest(unit.db, unit.citizen_id)).items():
        if picture.id == picture_id and kind is not PictureKind.DELETED:
            return picture
    raise NoSuchPicture(field="pictureId")


async def _submitted_until(unit: UnitOfWork, picture: Picture) -> int:
    """Pictures up to this id were submitted. Raises `PictureSubmitted` if this one was, or may be sent
    with the open application."""
    last = await applications.last_for_first_card(unit.db, unit.citizen_id)
    if last is None:
        return 0
    if picture.id < last.id or (last.is_open and picture.confirmed):
        raise PictureSubmitted(field="pictureId")
    return last.id
