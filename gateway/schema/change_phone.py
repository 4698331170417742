"""信息变更 · 手机号码变更 changePhone."""

from datetime import datetime
from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS, CITIZEN
from core.kernel.clock import moment
from core.services.change_phone import ChangePhone, change_phone
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON


@strawberry.input(description="手机号码变更信息 · The new phone and a code sent to it.")
class ChangePhoneInput:
    new_phone: str = strawberry.field(description="手机号码 · The new phone, 11 digits.")
    code: str = strawberry.field(
        description="验证码 · 6 digits, sent for CHANGE_PHONE to the new phone."
    )


@strawberry.type(description="手机号码变更成功 · The new phone is bound; the old one was notified.")
class PhoneChanged:
    at: datetime = strawberry.field(description="时间 · When.")


ChangePhoneResult = Annotated[
    PhoneChanged | RefusalPayload,
    strawberry.union("ChangePhoneResult", description="手机号码变更结果 · Changed or refusal."),
]


@strawberry.type
class ChangePhoneMutation:
    @strawberry.mutation(
        metadata={ASKS: CITIZEN},
        directives=[NEEDS_PERSON],
        description="手机号码变更 · Binds a new phone.",
    )
    async def change_phone(
        self, info: Info, input: Annotated[ChangePhoneInput, FORM]
    ) -> ChangePhoneResult:
        info.context.require_citizen()
        command = ChangePhone(new_phone=input.new_phone, code=input.code)
        return PhoneChanged(
            at=moment(await run(info.context, change_phone, command, action=Action.CHANGE_PHONE))
        )
