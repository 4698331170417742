"""绑卡 bind card: connects a channel account to a citizen where the platform verifies no identities.

Name and ID number are checked against the population registry; the verification code must have
been sent to the phone number on file, if there is one. Every mismatch is refused in the same words.
"""

from dataclasses import dataclass, field

from core import audit
from core.audit import Action
from core.citizens import Citizen, Limit, Notice, bindings, citizens, quotas, sessions
from core.crypto import account_indexes, open_account
from core.kernel.callers import RealNameLevel
from core.kernel.clock import HOUR, china_date, seconds_until
from core.kernel.refusals import (
    BindingNotNeeded,
    IdentityNotConfirmed,
    PartnerUnavailable,
    TooManyTries,
)
from core.messaging import VerificationPurpose, notices, verification
from core.partners import PartnerFailed
from core.reference import Form
from core.unit_of_work import Preparation, UnitOfWork

_TRIES = [Limit(10, HOUR)]


@dataclass(frozen=True, slots=True)
class BindCard:
    name: str = field(repr=False)
    social_security_number: str = field(repr=False)
    phone: str = field(repr=False)
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IdentityCheck:
    """The form in normal form, and whether the registry confirms name and ID number."""

    name: str = field(repr=False)
    number: str = field(repr=False)
    phone: str = field(repr=False)
    code: str = field(repr=False)
    confirmed: bool


async def confirm_identity(preparation: Preparation, command: BindCard) -> IdentityCheck:
    if preparation.session.level is RealNameLevel.PLATFORM:
        raise BindingNotNeeded
    form = Form()
    name = form.name("name", command.name)
    number = form.id_number(
        "socialSecurityNumber", command.social_security_number, china_date(preparation.now)
    )
    phone = form.phone("phone", command.phone)
    code = form.verification_code("code", command.code)
    form.finish()
    try:
        confirmed = await preparation.dependencies.partners.population_registry.matches(
            name, number
        )
    except PartnerFailed as error:
        raise PartnerUnavailable(partner=error.partner, retry_after=30) from error
    return IdentityCheck(name, number, phone, code, confirmed)


async def bind_card(unit: UnitOfWork, _: BindCard, identity: IdentityCheck) -> int:
    """Returns the citizen's id."""
    await _limit_tries(unit)
    code_id = await verification.check(
        unit, identity.phone, VerificationPurpose.BIND_CARD, identity.code
    )
    citizen_id = await _citizen(unit, identity)
    if citizen_id is None:
        await verification.restore(unit, code_id)
        raise IdentityNotConfirmed
    await _bind(unit, citizen_id)
    await audit.record(unit, citizen_id, Action.BIND_CARD)
    return citizen_id


async def _limit_tries(unit: UnitOfWork) -> None:
    keys = unit.dependencies.vault.indexes(f"bind|{unit.session.session_id}", "quota")
    free_at = await quotas.consume(unit.db, keys, _TRIES, unit.now)
    if free_at:
        raise TooManyTries(retry_after=seconds_until(free_at, unit.now))


async def _citizen(unit: UnitOfWork, identity: IdentityCheck) -> int | None:
    """The citizen on file with this phone, or a new one; None on any mismatch.

    The same queries run whatever does not match, so that response times reveal nothing.
    """
    db, vault = unit.db, unit.dependencies.vault
    citizen, fits = await _look_up(unit, identity)
    if not (fits and identity.confirmed):
        return None
    if citizen is None:
        return await citizens.register(
            db, vault, unit.now, name=identity.name, number=identity.number, phone=identity.phone
        )
    await citizens.lock(db, citizen.id)
    citizen, fits = await _look_up(unit, identity)
    if citizen is None or not fits:
        return None
    if citizen.phone is None:
        await citizens.set_phone(db, vault, citizen.id, identity.phone)
    return citizen.id


async def _look_up(unit: UnitOfWork, identity: IdentityCheck) -> tuple[Citizen | None, bool]:
    """The citizen on file, and whether name and phone match: the phone on file, or an unused one."""
    db, vault = unit.db, unit.dependencies.vault
    citizen = await citizens.find_by_number(db, vault, identity.number)
    owner = await citizens.owner_of_phone(db, vault, identity.phone)
    if citizen is None:
        return None, owner is None
    has_name = citizen.name.reveal() == identity.name
    has_phone = citizen.has_phone(identity.phone, vault)
    is_free = citizen.phone is None and owner is None
    return citizen, has_name and (has_phone or is_free)


async def _bind(unit: UnitOfWork, citizen_id: int) -> None:
    caller, vault = unit.session, unit.dependencies.vault
    account = await sessions.sealed_account(unit.db, caller.session_id)
    ended = await bindings.bind(
        unit.db,
        unit.now,
        channel=caller.channel,
        accounts=account_indexes(vault, caller.channel, open_account(vault, account)),
        account=account,
        citizen_id=citizen_id,
    )
    for older in ended:
        accounts = account_indexes(vault, caller.channel, open_account(vault, older.account))
        await sessions.end_all_of_account(
            unit.db, caller.channel, accounts, unit.now, keep=caller.session_id
        )
    await sessions.assign(unit.db, caller.session_id, citizen_id, RealNameLevel.BOUND)
    await notices.send_binding_notice(unit, citizen_id, caller.channel, ended)
    for previous in {older.citizen_id for older in ended} - {citizen_id}:
        await _notify_previous_citizen(unit, previous)


async def _notify_previous_citizen(unit: UnitOfWork, citizen_id: int) -> None:
    """The account was bound to this citizen before."""
    await audit.record(unit, citizen_id, Action.UNBOUND, channel=unit.session.channel.value)
    citizen = await citizens.get(unit.db, unit.dependencies.vault, citizen_id)
    await notices.send(unit, citizen, Notice.BINDING_ENDED)
