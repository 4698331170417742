"""挂失 report loss: the formal loss report, which does not expire."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from core import audit
from core.audit import Action
from core.cards import Card, CardState, Holder, cards
from core.citizens import Notice
from core.messaging import VerificationPurpose, notices, verification
from core.reference import Form
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ReportLoss:
    phone: str = field(repr=False)
    code: str = field(repr=False)


def check_eligibility(holder: Holder) -> None:
    _card(holder).report_loss(0)


async def report_loss(unit: UnitOfWork, command: ReportLoss) -> Holder:
    form = Form()
    phone = form.phone("phone", command.phone)
    code = form.verification_code("code", command.code)
    form.finish()
    holder = await unit.holder()
    card = _card(holder).report_loss(unit.now)
    holder.citizen.must_have_phone(phone, unit.dependencies.vault)
    await verification.check(unit, phone, VerificationPurpose.REPORT_LOSS, code)
    cards.save_state(unit.writes, card)
    await audit.record(unit, holder.citizen.id, Action.REPORT_LOSS, card=card.id)
    await notices.send(unit, holder.citizen, Notice.LOSS_REPORTED)
    return replace(holder, cards=(card,))


def _card(holder: Holder) -> Card:
    """The card in use; without one, a new card that is not activated yet."""
    in_use = holder.in_state(CardState.ACTIVE, CardState.LOCKED, CardState.TEMPORARILY_LOST)
    return in_use or holder.in_state(CardState.SEALED) or holder.card
