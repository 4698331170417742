"""卡状态查询 card status."""

from typing import Any

from core.cards import CardHolder, CardSummary, holders
from core.unit_of_work import Preparation


def check_eligibility(holder: CardHolder[Any]) -> None:
    _ = holder.card


async def card_status(preparation: Preparation, _: None) -> CardHolder[CardSummary]:
    holder = await holders.find_with_cards(
        preparation.db, preparation.dependencies.vault, preparation.now, preparation.citizen_id
    )
    check_eligibility(holder)
    return holder
