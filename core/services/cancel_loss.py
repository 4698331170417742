"""解挂 cancel loss: gives a lost card back the state before the loss, unless a reissue is open.

It never activates or unlocks a card.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from core import audit
from core.audit import Action
from core.cards import CardFields, CardForm, Holder, cards, ways_out
from core.citizens import Notice
from core.kernel.card_services import CardService
from core.messaging import VerificationPurpose, notices, verification
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class CancelLoss(CardFields):
    pass


async def cancel_loss(unit: UnitOfWork, command: CancelLoss) -> Holder:
    settings, vault = unit.dependencies.settings, unit.dependencies.vault
    form = CardForm.read(command, check_character=settings.card_check_character)
    holder = await unit.holder()
    card = ways_out.card_for(CardService.CANCEL_LOSS, holder).cancel_loss(unit.now)
    form.check_holder(holder, card, vault)
    await verification.check(unit, form.phone, VerificationPurpose.CANCEL_LOSS, form.code)
    cards.save_state(unit.writes, card)
    await audit.record(unit, holder.citizen.id, Action.CANCEL_LOSS, card=card.id)
    await notices.send(unit, holder.citizen, Notice.LOSS_CANCELLED)
    return replace(holder, cards=(card,))
