"""卡状态查询 card status."""

from typing import Any

from core.cards import CardHolder, holders, ways_out
from core.kernel.card_services import CardService
from core.unit_of_work import Preparation


async def card_status(preparation: Preparation, _: None) -> CardHolder[Any]:
    db, vault, now = preparation.db, preparation.dependencies.vault, preparation.now
    found = await holders.find_with_cards(db, vault, now, preparation.citizen_id)
    if found.cards:
        return found
    holder = await holders.find(db, vault, now, preparation.citizen_id)
    ways_out.check_eligibility(CardService.CARD_STATUS, holder)
    return holder
