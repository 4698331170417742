"""获取验证码 send verification code: by SMS, to the phone number that the purpose allows."""

from dataclasses import dataclass, field

from core import audit
from core.audit import Action
from core.kernel.callers import RealNameLevel
from core.kernel.refusals import BindingNotNeeded, PhoneNotBound, PhoneUnchanged
from core.messaging import SentCode, VerificationPurpose, verification
from core.reference import Form
from core.unit_of_work import UnitOfWork

_TO_ANY_PHONE = {VerificationPurpose.BIND_CARD, VerificationPurpose.APPLY_CARD}


@dataclass(frozen=True, slots=True)
class SendVerificationCode:
    purpose: VerificationPurpose
    phone: str = field(repr=False)


async def send_verification_code(unit: UnitOfWork, command: SendVerificationCode) -> SentCode:
    form = Form()
    phone = form.phone("phone", command.phone)
    form.finish()
    await _must_be_permitted(unit, phone, command.purpose)
    sent = await verification.send(unit, phone, command.purpose)
    await audit.record(
        unit,
        unit.session.subject_id,
        Action.SEND_CODE,
        purpose=command.purpose.value,
    )
    return sent


async def _must_be_permitted(unit: UnitOfWork, phone: str, purpose: VerificationPurpose) -> None:
    if purpose is VerificationPurpose.BIND_CARD:
        if unit.session.level is RealNameLevel.PLATFORM:
            raise BindingNotNeeded
        return
    citizen_id = unit.citizen_id
    if purpose in _TO_ANY_PHONE:
        return
    citizen = await unit.citizen(citizen_id)
    is_bound = citizen.has_phone(phone, unit.dependencies.vault)
    if purpose is VerificationPurpose.CHANGE_PHONE:
        if is_bound:
            raise PhoneUnchanged(field="phone")
    elif not is_bound:
        raise PhoneNotBound(field="phone")
