"""补卡 reissue: a new card of the same bank for one that was reported lost."""

import json
from dataclasses import dataclass, field

from core import audit
from core.applications import ApplicationKind, applications
from core.audit import Action
from core.cards import ways_out
from core.citizens import Notice
from core.issuer import place_order
from core.kernel.card_services import CardService
from core.kernel.refusals import PhoneNotBound
from core.messaging import VerificationPurpose, notices, verification
from core.production import Progress
from core.reference import REISSUE_LABELS, Form
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ReissueCard:
    pickup_method: str
    district_code: str
    outlet_code: str
    phone: str = field(repr=False)
    code: str = field(repr=False)


async def reissue_card(unit: UnitOfWork, command: ReissueCard) -> Progress:
    vault, reference = unit.dependencies.vault, unit.dependencies.reference
    form = Form(REISSUE_LABELS)
    form.choice("pickupMethod", command.pickup_method, reference.pickup_methods)
    form.choice("districtCode", command.district_code, reference.districts)
    phone = form.phone("phone", command.phone)
    code = form.verification_code("code", command.code)
    holder = await unit.holder()
    card = ways_out.card_for(CardService.REISSUE_CARD, holder)
    form.outlet(
        command.outlet_code, command.district_code, card.bank_code, reference, bank_is_fixed=True
    )
    if not holder.citizen.has_phone(phone, vault):
        form.refuse(PhoneNotBound(field="phone"))
    form.finish()
    await verification.check(unit, phone, VerificationPurpose.REISSUE_CARD, code)
    if holder.application is not None:
        # The new card was lost before its activation: its application ends with this one.
        unit.writes.see_each_other = True
        applications.close(unit.writes, holder.citizen.id, unit.now)
    application = applications.accept(
        unit.writes,
        vault,
        unit.now,
        citizen_id=holder.citizen.id,
        kind=ApplicationKind.REISSUE,
        old_card_id=card.id,
        form=json.dumps({"feeFen": unit.dependencies.settings.reissue_fee_fen}),
    )
    order = place_order.place(
        unit, holder.citizen, application, bank_code=card.bank_code, outlet_code=command.outlet_code
    )
    await audit.record(unit, holder.citizen.id, Action.REISSUE_CARD, application=application.id)
    await notices.send(unit, holder.citizen, Notice.APPLICATION_ACCEPTED)
    return Progress(holder.citizen, order)
