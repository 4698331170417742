"""确认身份证 confirm ID documents: the citizen confirms the latest upload of both sides."""

from core import audit
from core.audit import Action
from core.kernel.clock import Instant
from core.kernel.refusals import IdDocumentsNotConfirmed
from core.storage import PictureKind, pictures
from core.unit_of_work import UnitOfWork


async def confirm_id_documents(unit: UnitOfWork, _: None) -> Instant:
    await unit.head(unit.citizen_id)
    stored = await pictures.latest(unit.db, unit.citizen_id)
    sides = [stored.get(PictureKind.PORTRAIT_SIDE), stored.get(PictureKind.EMBLEM_SIDE)]
    for side in sides:
        if side is None:
            raise IdDocumentsNotConfirmed(field="idDocuments")
        pictures.confirm(unit.writes, side, unit.now)
    await audit.record(unit, unit.citizen_id, Action.CONFIRM_ID_DOCUMENTS)
    return unit.now
