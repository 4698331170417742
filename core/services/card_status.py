"""卡状态查询 card status."""

from typing import Any

from core.cards import CardHolder, ShownCard, holders
from core.unit_of_work import Errand


def must_be_possible(holder: CardHolder[Any]) -> None:
    _ = holder.card


async def card_status(errand: Errand, _: None) -> CardHolder[ShownCard]:
    holder = await holders.find_with_cards(
        errand.db, errand.tools.vault, errand.now, errand.citizen_id
    )
    must_be_possible(holder)
    return holder
