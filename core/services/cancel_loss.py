"""解挂 cancel loss: only while no reissue is open."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from core import audit
from core.audit import Action
from core.cards import Card, CardState, Holder, cards, holders
from core.citizens import Notice
from core.kernel.refusals import CardNumberMismatch, PhoneNotBound, ReissueOpen
from core.messaging import VerificationPurpose, notices, verification
from core.reference import Form
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class CancelLoss:
    phone: str = field(repr=False)
    card_number: str = field(repr=False)
    code: str = field(repr=False)


def check_eligibility(holder: Holder) -> None:
    if holder.reissue_open:
        raise ReissueOpen
    _card(holder).cancel_loss(0)


async def cancel_loss(unit: UnitOfWork, command: CancelLoss) -> Holder:
    settings, vault = unit.dependencies.settings, unit.dependencies.vault
    form = Form()
    phone = form.phone("phone", command.phone)
    number = form.card_number(
        "cardNumber", command.card_number, check_character=settings.card_check_character
    )
    code = form.verification_code("code", command.code)
    form.finish()
    holder = await holders.lock(unit.db, vault, unit.now, unit.citizen_id)
    check_eligibility(holder)
    card = _card(holder).cancel_loss(unit.now)
    if not holder.citizen.has_phone(phone, vault):
        form.refuse(PhoneNotBound(field="phone"))
    if not card.has_number(number, vault):
        form.refuse(CardNumberMismatch(field="cardNumber"))
    form.finish()
    await verification.check(unit, phone, VerificationPurpose.CANCEL_LOSS, code)
    await cards.save_state(unit.db, card)
    await audit.record(unit, holder.citizen.id, Action.CANCEL_LOSS, card=card.id)
    await notices.send(unit, holder.citizen, Notice.LOSS_CANCELLED)
    return replace(holder, cards=(card,))


def _card(holder: Holder) -> Card:
    return holder.in_state(CardState.LOST, CardState.TEMPORARILY_LOST) or holder.card
