"""制卡进度查询 production progress."""

from core import production
from core.errors import NoApplication
from core.holders import Holder
from core.production import Progress
from core.unit import Errand


def must_be_possible(holder: Holder) -> None:
    if not holder.has_production:
        raise NoApplication


async def production_progress(errand: Errand, _: None) -> Progress:
    progress = await production.latest_progress(errand.db, errand.tools.vault, errand.citizen_id)
    if progress is None:
        raise NoApplication
    return progress
