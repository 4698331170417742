"""挂失 report loss: the formal loss report, which does not expire."""

from dataclasses import dataclass, field

from msgspec.structs import replace

from core import audit
from core.audit import Action
from core.cards import Holder, cards, ways_out
from core.citizens import Notice
from core.kernel.card_services import CardService
from core.messaging import VerificationPurpose, notices, verification
from core.reference import Form
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ReportLoss:
    phone: str = field(repr=False)
    code: str = field(repr=False)


async def report_loss(unit: UnitOfWork, command: ReportLoss) -> Holder:
    form = Form()
    phone = form.phone("phone", command.phone)
    code = form.verification_code("code", command.code)
    form.finish()
    holder = await unit.holder()
    card = ways_out.card_for(CardService.REPORT_LOSS, holder).report_loss(unit.now)
    holder.citizen.must_have_phone(phone, unit.dependencies.vault)
    await verification.check(unit, phone, VerificationPurpose.REPORT_LOSS, code)
    cards.save_state(unit.writes, card)
    await audit.record(unit, holder.citizen.id, Action.REPORT_LOSS, card=card.id)
    await notices.send(unit, holder.citizen, Notice.LOSS_REPORTED)
    return replace(holder, cards=(card,))
