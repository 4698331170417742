"""获取验证码 send verification code: by SMS, to the phone number that the purpose allows."""

from dataclasses import dataclass, field

from core import audit
from core.audit import Action
from core.kernel.callers import RealNameLevel
from core.kernel.refusals import BindingNotNeeded, PhoneNotBound, PhoneUnchanged
from core.messaging import SentCode, VerificationPurpose, verification
from core.reference import Form
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class SendVerificationCode:
    purpose: VerificationPurpose
    phone: str = field(repr=False)


async def send_verification_code(unit: UnitOfWork, command: SendVerificationCode) -> SentCode:
    form = Form()
    phone = form.phone("phone", command.phone)
    form.finish()
    is_own = await _is_own(unit, phone, command.purpose)
    sent = await verification.send(unit, phone, command.purpose, is_own=is_own)
    await audit.record(
        unit,
        unit.session.subject_id,
        Action.SEND_CODE,
        purpose=command.purpose.value,
    )
    return sent


async def _is_own(unit: UnitOfWork, phone: str, purpose: VerificationPurpose) -> bool:
    """Whether it is the citizen's phone on file; refuses one that the purpose does not permit.

    Whoever binds a card is nobody yet: the phone is another's, whosever it is.
    """
    if purpose is VerificationPurpose.BIND_CARD:
        if unit.session.level is RealNameLevel.PLATFORM:
            raise BindingNotNeeded
        return False
    citizen = await unit.citizen(unit.citizen_id)
    is_own = citizen.has_phone(phone, unit.dependencies.vault)
    if purpose is VerificationPurpose.CHANGE_PHONE:
        if is_own:
            raise PhoneUnchanged(field="phone")
    elif purpose is not VerificationPurpose.APPLY_CARD and not is_own:
        raise PhoneNotBound(field="phone")
    return is_own
