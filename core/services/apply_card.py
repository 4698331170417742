"""申办 apply: turns a complete form into an application and a production order."""

import contextlib
import json
from dataclasses import asdict, dataclass, field

from msgspec.structs import replace

from core import audit
from core.applications import (
    ApplicationKind,
    FilledForm,
    application_forms,
    applications,
    drafts,
    prefills,
)
from core.audit import Action
from core.cards import CardsElsewhere, ways_out
from core.citizens import INSURANCE_NUMBER, PHONE, Citizen, Notice, citizens, consents
from core.issuer import place_order
from core.kernel.card_services import CardService
from core.kernel.clock import china_date
from core.kernel.refusals import PartnerUnavailable, PhoneTaken
from core.messaging import VerificationPurpose, notices, verification
from core.partners import PartnerFailed, held_elsewhere, with_enrolment
from core.production import Progress
from core.reference import Form
from core.storage import PictureKind, pictures
from core.unit_of_work import Preparation, UnitOfWork


@dataclass(frozen=True, slots=True)
class ApplyCard:
    form: FilledForm = field(repr=False)
    code: str = field(repr=False)


async def find_cards_elsewhere(preparation: Preparation, _: ApplyCard) -> CardsElsewhere:
    citizen = await citizens.get(
        preparation.db, preparation.dependencies.vault, preparation.citizen_id
    )
    partners = preparation.dependencies.partners
    number = citizen.social_security_number.reveal()
    try:
        answer = held_elsewhere(await partners.card_registry.cards_of(number))
    except PartnerFailed as error:
        raise PartnerUnavailable(partner=error.partner, retry_after=30) from error
    with contextlib.suppress(PartnerFailed):
        answer = await with_enrolment(answer, partners.insurance_registry, number)
    return answer


async def apply_card(unit: UnitOfWork, command: ApplyCard, elsewhere: CardsElsewhere) -> Progress:
    db, vault, settings = unit.db, unit.dependencies.vault, unit.dependencies.settings
    holder = replace(await unit.holder(), elsewhere=elsewhere)
    ways_out.check_eligibility(CardService.APPLY_CARD, holder)
    citizen, filled = holder.citizen, command.form
    stored = await pictures.latest(db, citizen.id)
    form = Form()
    if settings.consent_required:
        agreed = await consents.given_at(db, citizen.id, settings.privacy_notice_version)
        application_forms.check_consent(form, agreed)
    application_forms.check_pictures(form, stored)
    application_forms.check(
        form, filled, citizen, unit.dependencies.reference, china_date(unit.now), settings.adult_age
    )
    code = form.verification_code("code", command.code)
    form.finish()
    await verification.check(unit, filled.phone, VerificationPurpose.APPLY_CARD, code)
    citizen = await _change_citizen(unit, citizen, filled)
    application = applications.accept(
        unit.writes,
        vault,
        unit.now,
        citizen_id=citizen.id,
        kind=ApplicationKind.APPLY,
        form=json.dumps(asdict(filled), ensure_ascii=False),
    )
    order = place_order.place(
        unit,
        citizen,
        application,
        bank_code=filled.bank_code,
        outlet_code=filled.outlet_code,
        portrait_id=stored[PictureKind.PORTRAIT].id,
    )
    drafts.discard(unit.writes, citizen.id)
    prefills.discard(unit.writes, citizen.id)
    consents.give(unit.writes, citizen.id, settings.privacy_notice_version, unit.now)
    await audit.record(unit, citizen.id, Action.APPLY_CARD, application=application.id)
    await notices.send(unit, citizen, Notice.APPLICATION_ACCEPTED)
    return Progress(citizen, order)


async def _change_citizen(unit: UnitOfWork, citizen: Citizen, filled: FilledForm) -> Citizen:
    """Binds the form's phone number, and notes the insurance number; a previous phone gets a notice."""
    db, vault = unit.db, unit.dependencies.vault
    values = {}
    if filled.social_insurance_number:
        values[INSURANCE_NUMBER] = filled.social_insurance_number
    if not citizen.has_phone(filled.phone, vault):
        if await citizens.owner_of_phone(db, vault, filled.phone) is not None:
            raise PhoneTaken(field="phone")
        values[PHONE] = filled.phone
        if citizen.phone is not None:
            await audit.record(unit, citizen.id, Action.CHANGE_PHONE)
            await notices.send(unit, citizen, Notice.PHONE_CHANGED)
    return citizens.change(unit.writes, vault, unit.now, citizen, values) if values else citizen
