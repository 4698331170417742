"""制卡进度查询 production progress."""

from core.cards import holders, ways_out
from core.kernel.card_services import CardService
from core.kernel.refusals import NoApplication
from core.production import Progress, orders
from core.unit_of_work import Preparation


async def production_progress(preparation: Preparation, _: None) -> Progress:
    db, vault, now = preparation.db, preparation.dependencies.vault, preparation.now
    progress = await orders.latest_progress(db, vault, preparation.citizen_id)
    if progress is None:
        holder = await holders.find(db, vault, now, preparation.citizen_id)
        raise ways_out.show_way(NoApplication(), CardService.PRODUCTION_PROGRESS, holder)
    return progress
