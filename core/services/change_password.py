"""服务密码变更 change password: five wrong old passwords lock the service for 24 hours."""

from dataclasses import dataclass, field

from core import audit
from core.audit import Action
from core.cards import holders, ways_out
from core.citizens import Notice, citizens, passwords
from core.kernel.card_services import CardService
from core.kernel.clock import Instant, seconds_until
from core.kernel.refusals import (
    PasswordLocked,
    PasswordNotSet,
    PasswordsDiffer,
    PasswordTooSimple,
    PasswordUnchanged,
    PasswordWrong,
    Refusal,
    TryAgainLater,
)
from core.messaging import notices
from core.reference import Form, birth_date_of
from core.unit_of_work import Preparation, UnitOfWork


@dataclass(frozen=True, slots=True)
class ChangePassword:
    old_password: str = field(repr=False)
    new_password: str = field(repr=False)
    confirm_password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Whether the old password matched the stored hash of `version`; if so, the new password's hash."""

    version: int
    matches: bool
    new_hash: str = field(repr=False)


async def check_passwords(preparation: Preparation, command: ChangePassword) -> PasswordCheck:
    citizen = await citizens.get(
        preparation.db, preparation.dependencies.vault, preparation.citizen_id
    )
    form = Form()
    old = form.password("oldPassword", command.old_password)
    new = form.password("newPassword", command.new_password)
    number = citizen.social_security_number.reveal()
    if not form.has_refused("newPassword"):
        if passwords.is_too_simple(new, number, birth_date_of(number)):
            form.refuse(PasswordTooSimple(field="newPassword"))
        elif new == old:
            form.refuse(PasswordUnchanged(field="newPassword"))
    if command.confirm_password != command.new_password:
        form.refuse(PasswordsDiffer(field="confirmPassword"))
    form.finish()
    stored = await passwords.find(preparation.db, preparation.dependencies.seals, citizen.id)
    if stored is None:
        raise await _not_set(preparation)
    _must_not_be_locked(stored.locked_until, preparation.now)
    hasher = preparation.dependencies.hasher
    matches = await hasher.matches(stored.hash, old)
    return PasswordCheck(stored.version, matches, await hasher.hash(new) if matches else "")


async def change_password(unit: UnitOfWork, _: ChangePassword, check: PasswordCheck) -> Instant:
    citizen = await unit.citizen()
    stored = await passwords.find(unit.db, unit.dependencies.seals, citizen.id)
    if stored is None:
        raise await _not_set(unit)
    _must_not_be_locked(stored.locked_until, unit.now)
    if stored.version != check.version:
        raise TryAgainLater(retry_after=1)
    if not check.matches:
        left = passwords.count_wrong_try(unit.writes, stored, unit.now)
        if not left:
            raise _locked(passwords.LOCKED_FOR)
        raise PasswordWrong(field="oldPassword", left=left)
    passwords.store(unit.writes, unit.dependencies.seals, citizen.id, check.new_hash)
    await audit.record(unit, citizen.id, Action.CHANGE_PASSWORD)
    await notices.send(unit, citizen, Notice.PASSWORD_CHANGED)
    return unit.now


async def _not_set(request: Preparation | UnitOfWork) -> Refusal:
    holder = await holders.find(
        request.db, request.dependencies.vault, request.now, request.citizen_id
    )
    return ways_out.show_way(PasswordNotSet(), CardService.CHANGE_PASSWORD, holder)


def _must_not_be_locked(locked_until: Instant, now: Instant) -> None:
    remaining = passwords.locked_for(locked_until, now)
    if remaining:
        raise _locked(remaining).without_counting()


def _locked(remaining: int) -> PasswordLocked:
    return PasswordLocked(field="oldPassword", retry_after=seconds_until(remaining, 0))
