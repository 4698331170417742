"""Cards elsewhere: asks the provincial card registry when the application form is opened, once a day.

For a card that could be transferred in, the insurance registry is asked too. It may take a second in
all; whether they answer or not, the form opens.
"""

import asyncio
import contextlib

from core.cards import CardsElsewhere, elsewhere, holders, ways_out
from core.kernel.card_services import CardService
from core.partners import PartnerFailed, held_elsewhere, with_enrolment
from core.unit_of_work import Preparation, UnitOfWork

_DEADLINE_SECONDS = 1.0


async def ask_for_cards_elsewhere(preparation: Preparation, _: None) -> CardsElsewhere | None:
    """None if it is known already, does not matter, or cannot be known now."""
    dependencies = preparation.dependencies
    holder = await holders.find(
        preparation.db, dependencies.vault, preparation.now, preparation.citizen_id
    )
    if holder.elsewhere is not None or ways_out.eligibility(CardService.APPLY_CARD, holder):
        return None
    partners = dependencies.partners
    number = holder.citizen.social_security_number.reveal()
    answer = None
    with contextlib.suppress(PartnerFailed, TimeoutError):
        async with asyncio.timeout(_DEADLINE_SECONDS):
            answer = held_elsewhere(await partners.card_registry.cards_of(number))
            answer = await with_enrolment(answer, partners.insurance_registry, number)
    return answer


async def keep_cards_elsewhere(unit: UnitOfWork, _: None, answer: CardsElsewhere | None) -> None:
    if answer is not None:
        elsewhere.save(unit.writes, unit.citizen_id, answer, unit.now)
