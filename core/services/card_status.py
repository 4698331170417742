"""卡状态查询 card status."""

from core import holders
from core.holders import Holder
from core.unit import Errand


def must_be_possible(holder: Holder) -> None:
    _ = holder.card


async def card_status(errand: Errand, _: None) -> Holder:
    holder = await holders.find(errand.db, errand.tools.vault, errand.now, errand.citizen_id)
    must_be_possible(holder)
    return holder
