"""卡归属地转入 transfer in: moves the home region of a card of another city of Sichuan to Chengdu.

Only the card's home region moves; the insurance relation is transferred at the social insurance
bureau (028-12333).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from core import audit
from core.audit import Action
from core.cards import (
    CHENGDU,
    SICHUAN_PREFIX,
    STATE_NAMES,
    CardsElsewhere,
    CardState,
    Holder,
    cards,
    holders,
    ways_out,
)
from core.kernel.card_services import CardService
from core.kernel.confirmation import Confirmation
from core.kernel.refusals import (
    CardAlreadyHere,
    CardOutsideProvince,
    InsuranceNotEnrolled,
    NoInsuranceChosen,
    PartnerUnavailable,
    TransferCardNotActive,
    TransferCardNotFound,
)
from core.messaging import MessageKind, VerificationPurpose, outbox, verification
from core.partners import PartnerFailed, RegistryCard, held_elsewhere, with_enrolment
from core.reference import INSURANCE_NAMES, Form, InsuranceType
from core.unit_of_work import Preparation, UnitOfWork


@dataclass(frozen=True, slots=True)
class TransferIn:
    card_number: str = field(repr=False)
    insurances: tuple[InsuranceType, ...]
    phone: str = field(repr=False)
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AskInsurances:
    card_number: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Transferable:
    """The card as the provincial card registry has it, and the citizen's insurance types."""

    number: str = field(repr=False)
    card: RegistryCard
    elsewhere: CardsElsewhere
    enrolled: frozenset[InsuranceType]


@dataclass(frozen=True, slots=True)
class ReadyToTransfer:
    """The form in normal form, and the card to be transferred."""

    phone: str = field(repr=False)
    code: str = field(repr=False)
    found: Transferable


async def find_insurances(preparation: Preparation, command: AskInsurances) -> Transferable:
    """查询险种 insurances: the types in which the citizen is enrolled in Chengdu."""
    form = Form()
    number = _card_number(form, preparation, command.card_number)
    form.finish()
    return await _ask_registries(preparation, number)


async def find_transferable(preparation: Preparation, command: TransferIn) -> ReadyToTransfer:
    form = Form()
    number = _card_number(form, preparation, command.card_number)
    phone = form.phone("phone", command.phone)
    code = form.verification_code("code", command.code)
    if not command.insurances:
        form.refuse(NoInsuranceChosen(field="insurances"))
    form.finish()
    found = await _ask_registries(preparation, number)
    _must_be_enrolled(command.insurances, found.enrolled)
    return ReadyToTransfer(phone, code, found)


async def transfer_in(unit: UnitOfWork, command: TransferIn, ready: ReadyToTransfer) -> Holder:
    vault, found = unit.dependencies.vault, ready.found
    holder = replace(await unit.holder(), elsewhere=found.elsewhere)
    ways_out.check_eligibility(CardService.TRANSFER_IN, holder)
    holder.citizen.must_have_phone(ready.phone, vault)
    await verification.check(unit, ready.phone, VerificationPurpose.TRANSFER_IN, ready.code)
    card = cards.issue(
        unit.writes,
        vault,
        unit.now,
        citizen_id=holder.citizen.id,
        number=found.number,
        region_code=CHENGDU,
        bank_code=found.card.bank_code,
        batch_number=None,
        issue_date=found.card.issue_date,
        state=CardState.ACTIVE,
        confirmation=Confirmation.BEING_CONFIRMED,
    )
    outbox.put(
        unit,
        subject_id=holder.citizen.id,
        kind=MessageKind.REGION_MOVE,
        payload={
            "cardId": card.id,
            "socialSecurityNumber": holder.citizen.social_security_number.reveal(),
            "cardNumber": found.number,
            "fromRegion": found.card.region_code,
            "toRegion": CHENGDU,
        },
    )
    await audit.record(
        unit,
        holder.citizen.id,
        Action.TRANSFER_IN,
        card=card.id,
        region=found.card.region_code,
        insurances=",".join(command.insurances),
    )
    return replace(holder, cards=(card, *holder.cards))


def _card_number(form: Form, preparation: Preparation, value: str) -> str:
    return form.card_number(
        "cardNumber", value, check_character=preparation.dependencies.settings.card_check_character
    )


async def _ask_registries(preparation: Preparation, number: str) -> Transferable:
    """Queries only the citizen's own cards, so that an unknown number and another citizen's number
    are refused alike."""
    db, vault, partners = (
        preparation.db,
        preparation.dependencies.vault,
        preparation.dependencies.partners,
    )
    holder = await holders.find(db, vault, preparation.now, preparation.citizen_id)
    if any(
        card.has_number(number, vault) and card.state is not CardState.CANCELLED
        for card in holder.cards
    ):
        raise ways_out.show_way(
            CardAlreadyHere(field="cardNumber"), CardService.TRANSFER_IN, holder
        )
    ways_out.check_eligibility(CardService.TRANSFER_IN, replace(holder, elsewhere=None))
    ssn = holder.citizen.social_security_number.reveal()
    try:
        own = await partners.card_registry.cards_of(ssn)
        elsewhere = held_elsewhere(own)
        card = next((card for card in own if card.card_number == number), None)
        if card is None:
            elsewhere = await with_enrolment(elsewhere, partners.insurance_registry, ssn)
            holder = replace(holder, elsewhere=elsewhere)
            ways_out.check_eligibility(CardService.TRANSFER_IN, holder)
            raise TransferCardNotFound(field="cardNumber")
        _must_be_transferable(card)
        enrolled = await partners.insurance_registry.enrolled(ssn)
        return Transferable(number, card, elsewhere, enrolled)
    except PartnerFailed as error:
        raise PartnerUnavailable(partner=error.partner, retry_after=30) from error


def _must_be_transferable(card: RegistryCard) -> None:
    if not card.region_code.startswith(SICHUAN_PREFIX):
        raise CardOutsideProvince(field="cardNumber")
    if card.region_code == CHENGDU:
        raise CardAlreadyHere(field="cardNumber")
    if card.state is not CardState.ACTIVE:
        raise TransferCardNotActive(field="cardNumber", state=STATE_NAMES[card.state])


def _must_be_enrolled(chosen: Iterable[InsuranceType], enrolled: frozenset[InsuranceType]) -> None:
    missing = next((insurance for insurance in chosen if insurance not in enrolled), None)
    if missing is not None:
        raise InsuranceNotEnrolled(field="insurances", insurance=INSURANCE_NAMES[missing])
