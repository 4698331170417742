"""获取验证码 sendVerificationCode: six digits by SMS."""

from datetime import datetime
from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS, CITIZEN
from core.kernel.clock import moment
from core.kernel.masking import mask_phone
from core.services.send_verification_code import SendVerificationCode, send_verification_code
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_SESSION
from gateway.schema.verification_purposes import VerificationPurpose


@strawberry.input(description="验证码请求 · What the code is for, and the phone to send it to.")
class SendVerificationCodeInput:
    purpose: VerificationPurpose = strawberry.field(
        description="用途 · A code is valid for one purpose only."
    )
    phone: str = strawberry.field(
        description="手机号码 · 11 digits. The bound phone; for CHANGE_PHONE the new one."
    )


@strawberry.type(description="验证码已发送 · The SMS is being sent.")
class VerificationCodeSent:
    masked_phone: str = strawberry.field(description="手机号码 · Masked.")
    expires_at: datetime = strawberry.field(description="失效时间 · Until when the code is valid.")
    resend_after: int = strawberry.field(
        description="重新获取 · Seconds before another can be sent."
    )


SendVerificationCodeResult = Annotated[
    VerificationCodeSent | RefusalPayload,
    strawberry.union("SendVerificationCodeResult", description="获取验证码结果 · Sent or refusal."),
]


@strawberry.type
class SendVerificationCodeMutation:
    @strawberry.mutation(
        metadata={ASKS: CITIZEN},
        directives=[NEEDS_SESSION],
        description="获取验证码 · Valid 5 minutes, for one purpose, one phone and this session; "
        "invalid after five wrong attempts.",
    )
    async def send_verification_code(
        self, info: Info, input: Annotated[SendVerificationCodeInput, FORM]
    ) -> SendVerificationCodeResult:
        info.context.require_session()
        command = SendVerificationCode(purpose=input.purpose, phone=input.phone)
        sent = await run(info.context, send_verification_code, command, action=Action.SEND_CODE)
        return VerificationCodeSent(
            masked_phone=mask_phone(sent.phone),
            expires_at=moment(sent.expires_at),
            resend_after=sent.resend_after,
        )
