"""信息变更 · 手机号码变更 change phone: a code verifies the new number; the old number gets a notice."""

from dataclasses import dataclass, field

from core import audit
from core.audit import Action
from core.citizens import PHONE, Notice, citizens
from core.kernel.clock import Instant
from core.kernel.refusals import PhoneTaken, PhoneUnchanged
from core.messaging import VerificationPurpose, notices, verification
from core.reference import Form
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ChangePhone:
    new_phone: str = field(repr=False)
    code: str = field(repr=False)


async def change_phone(unit: UnitOfWork, command: ChangePhone) -> Instant:
    vault = unit.dependencies.vault
    form = Form()
    phone = form.phone("newPhone", command.new_phone)
    code = form.verification_code("code", command.code)
    form.finish()
    citizen = await unit.citizen()
    if citizen.has_phone(phone, vault):
        raise PhoneUnchanged(field="newPhone")
    await verification.check(unit, phone, VerificationPurpose.CHANGE_PHONE, code)
    if await citizens.owner_of_phone(unit.db, vault, phone) is not None:
        raise PhoneTaken(field="newPhone")
    citizens.change(unit.writes, vault, unit.now, citizen, {PHONE: phone})
    await audit.record(unit, citizen.id, Action.CHANGE_PHONE)
    await notices.send(unit, citizen, Notice.PHONE_CHANGED)
    return unit.now
