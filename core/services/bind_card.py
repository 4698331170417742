"""绑卡 bind card: an account of a channel that vouches for nobody becomes a person's.

Name and number are checked against the population registry; the code must have gone to the
phone on file, where there is one. Whatever does not fit is refused in the same words.
"""

from dataclasses import dataclass, field

from core import audit, bindings, citizens, outbox, quotas, sessions, verification
from core.audit import Action
from core.callers import RealNameLevel
from core.clock import HOUR, china_date, seconds_until
from core.errors import BindingNotNeeded, IdentityNotConfirmed, PartnerUnavailable, TooManyTries
from core.forms import Form
from core.partners import PartnerFailed
from core.quotas import Limit
from core.unit import Errand, Unit
from core.verification import VerificationPurpose

_TRIES = [Limit(10, HOUR)]


@dataclass(frozen=True, slots=True)
class BindCard:
    name: str = field(repr=False)
    social_security_number: str = field(repr=False)
    phone: str = field(repr=False)
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The form in normal form, and whether the registry knows the person."""

    name: str = field(repr=False)
    number: str = field(repr=False)
    phone: str = field(repr=False)
    code: str = field(repr=False)
    confirmed: bool


async def confirm_identity(errand: Errand, command: BindCard) -> Confirmation:
    if errand.session.level is RealNameLevel.PLATFORM:
        raise BindingNotNeeded
    form = Form()
    name = form.name("name", command.name)
    number = form.id_number(
        "socialSecurityNumber", command.social_security_number, china_date(errand.now)
    )
    phone = form.phone("phone", command.phone)
    code = form.verification_code("code", command.code)
    form.finish()
    try:
        confirmed = await errand.tools.partners.population_registry.matches(name, number)
    except PartnerFailed as error:
        raise PartnerUnavailable(partner=error.partner, wait=30, retry_after=30) from error
    return Confirmation(name, number, phone, code, confirmed)


async def bind_card(unit: Unit, _: BindCard, identity: Confirmation) -> int:
    """Returns the citizen's id."""
    await _limit_tries(unit)
    code_id = await verification.check(
        unit, identity.phone, VerificationPurpose.BIND_CARD, identity.code
    )
    citizen_id = await _citizen(unit, identity) if identity.confirmed else None
    if citizen_id is None:
        await verification.give_back(unit, code_id)
        raise IdentityNotConfirmed
    await _bind(unit, citizen_id, identity.phone)
    await audit.record(unit, citizen_id, Action.BIND_CARD)
    return citizen_id


async def _limit_tries(unit: Unit) -> None:
    key = unit.tools.vault.index(f"bind|{unit.session.session_id}", "quota")
    free_at = await quotas.take(unit.db, key, _TRIES, unit.now)
    if free_at:
        wait = seconds_until(free_at, unit.now)
        raise TooManyTries(wait=wait, retry_after=wait)


async def _citizen(unit: Unit, identity: Confirmation) -> int | None:
    """The citizen on file with this phone, or a new one; None where the phone does not fit."""
    db, vault = unit.db, unit.tools.vault
    citizen = await citizens.find_by_number(db, vault, identity.number)
    owner = await citizens.owner_of_phone(db, vault, identity.phone)
    if citizen is None:
        if owner is not None:
            return None
        return await citizens.register(
            db, vault, unit.now, name=identity.name, number=identity.number, phone=identity.phone
        )
    await citizens.lock(db, citizen.id)
    if citizen.name.reveal() != identity.name:
        return None
    if citizen.phone_index is not None:
        return citizen.id if citizen.has_phone(identity.phone, vault) else None
    if owner is not None:
        return None
    await citizens.set_phone(db, vault, citizen.id, identity.phone)
    return citizen.id


async def _bind(unit: Unit, citizen_id: int, phone: str) -> None:
    caller = unit.session
    ended = await bindings.bind(
        unit.db,
        unit.now,
        channel=caller.channel,
        account_index=caller.account_index,
        account=await sessions.sealed_account(unit.db, caller.session_id),
        citizen_id=citizen_id,
    )
    for older in ended:
        await sessions.end_all_of_account(
            unit.db, caller.channel, older.account_index, unit.now, keep=caller.session_id
        )
    await sessions.assign(unit.db, caller.session_id, citizen_id, RealNameLevel.BOUND)
    if any(older.citizen_id == citizen_id for older in ended):
        await outbox.put_sms(
            unit,
            person=citizen_id,
            phone=phone,
            template="BINDING_CHANGED",
            text="【成都人社】您的社会保障卡已在新的账号上绑定，原绑定已解除。如非本人操作，请拨打 028-12333。",
        )
