"""绑卡 bind card: connects a channel account to a citizen where the platform verifies no identities.

Name and ID number are checked against the population registry; the verification code must have
been sent to the phone number on file, if there is one. Every mismatch is refused in the same words.
"""

from dataclasses import dataclass, field

from core import audit
from core.audit import Action
from core.citizens import (
    PHONE,
    SSN,
    Citizen,
    ClaimKind,
    Limit,
    NewSession,
    Notice,
    bindings,
    citizens,
    claims,
    quotas,
    sessions,
)
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
from core.reference import Form, is_same_name
from core.unit_of_work import Preparation, UnitOfWork


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


@dataclass(frozen=True, slots=True)
class Bound:
    """`session` replaces the one that asked, which has ended."""

    citizen_id: int
    session: NewSession


async def bind_card(unit: UnitOfWork, _: BindCard, identity: IdentityCheck) -> Bound:
    await _limit_tries(unit)
    code = await verification.verify(
        unit, identity.phone, VerificationPurpose.BIND_CARD, identity.code
    )
    citizen = await _citizen(unit, identity)
    if citizen is None:
        raise IdentityNotConfirmed
    verification.consume(unit, code)
    session = await _bind(unit, citizen)
    await audit.record(unit, citizen.id, Action.BIND_CARD)
    return Bound(citizen.id, session)


async def _limit_tries(unit: UnitOfWork) -> None:
    """Of the account: a new session does not begin anew."""
    session, dependencies = unit.session, unit.dependencies
    account = f"bind|{session.channel}|{session.account_index.hex()}"
    limits = [Limit(dependencies.settings.bindings_per_account_hour, HOUR)]
    keys = dependencies.vault.indexes(account, "quota")
    free_at = await quotas.consume(unit.db, unit.writes, [(keys, limits)], unit.now)
    if free_at:
        raise TooManyTries(retry_after=seconds_until(free_at, unit.now))


async def _citizen(unit: UnitOfWork, identity: IdentityCheck) -> Citizen | None:
    """The citizen on file with this phone, or a new one; None on any mismatch.

    The same queries run whatever does not match, so that response times reveal nothing.
    """
    vault = unit.dependencies.vault
    owners = await claims.find(
        unit.db,
        {
            ClaimKind.SOCIAL_SECURITY_NUMBER: vault.indexes(identity.number, SSN),
            ClaimKind.PHONE: vault.indexes(identity.phone, PHONE),
        },
    )
    owner = owners.get(ClaimKind.PHONE)
    citizen_id = owners.get(ClaimKind.SOCIAL_SECURITY_NUMBER, 0)
    found = await citizens.find(unit.db, vault, citizen_id)
    if found is None:
        if owner is not None or not identity.confirmed:
            return None
        return citizens.register(
            unit.writes,
            vault,
            unit.now,
            name=identity.name,
            number=identity.number,
            phone=identity.phone,
        )
    citizen, unit.heads[found[0].id] = found
    is_free = citizen.phone is None and owner is None
    has_phone = citizen.has_phone(identity.phone, vault) or is_free
    is_same = is_same_name(citizen.name.reveal(), identity.name)
    if not (is_same and has_phone and identity.confirmed):
        return None
    citizen.must_be_alive()
    if citizen.phone is None:
        values = {PHONE: identity.phone}
        return citizens.change(unit.writes, vault, unit.now, citizen, values)
    return citizen


async def _bind(unit: UnitOfWork, citizen: Citizen) -> NewSession:
    caller, vault = unit.session, unit.dependencies.vault
    stored = await sessions.find(unit.db, caller, unit.now)
    accounts = account_indexes(vault, caller.channel, open_account(vault, stored.account))
    replaced = await bindings.replaced_by(unit.db, caller.channel, accounts, citizen.id)
    bindings.bind(
        unit.writes,
        vault,
        unit.now,
        channel=caller.channel,
        accounts=accounts,
        account=stored.account,
        citizen_id=citizen.id,
        replaced=replaced,
    )
    for older in replaced:
        bindings.end_sessions(unit.writes, vault, older, unit.now, but_not=stored.id)
    await notices.send(unit, citizen, Notice.NEW_BINDING, also_to=(caller.channel, stored.account))
    await notices.tell_previous_citizens(unit, replaced, citizen.id)
    return sessions.move(unit.writes, vault, unit.now, stored, citizen.id, RealNameLevel.BOUND)
