"""制卡进度查询 production progress."""

from core.cards import Holder
from core.kernel.refusals import NoApplication
from core.production import Progress, orders
from core.unit_of_work import Preparation


def check_eligibility(holder: Holder) -> None:
    if not holder.has_production:
        raise NoApplication


async def production_progress(preparation: Preparation, _: None) -> Progress:
    progress = await orders.latest_progress(
        preparation.db, preparation.dependencies.vault, preparation.citizen_id
    )
    if progress is None:
        raise NoApplication
    return progress
