"""绑卡 bindCard: binds a channel account to a citizen, once."""

from datetime import datetime
from typing import Annotated

import strawberry
from msgspec.structs import replace

from core.audit import Action
from core.kernel.callers import RealNameLevel
from core.kernel.clock import moment
from core.services.bind_card import BindCard, bind_card, confirm_identity
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_SESSION
from gateway.schema.viewer import Viewer, viewer_of


@strawberry.input(description="绑卡信息 · Who the citizen is; the code goes to the phone on file.")
class BindCardInput:
    name: str = strawberry.field(description="姓名 · As on the ID card.")
    social_security_number: str = strawberry.field(
        description="社会保障号码 · 18 characters, for residents the ID number."
    )
    phone: str = strawberry.field(description="手机号码 · The phone on file, 11 digits.")
    code: str = strawberry.field(description="验证码 · 6 digits, sent for BIND_CARD.")


@strawberry.type(description="绑卡成功 · The account is bound to the citizen.")
class CardBound:
    viewer: Viewer = strawberry.field(description="当前用户 · Who is signed in now.")
    token: str = strawberry.field(
        description="会话令牌 · Use it from now on: the session continues under it, and the old token no longer works."
    )
    expires_at: datetime = strawberry.field(description="失效时间 · When the session ends.")


BindCardResult = Annotated[
    CardBound | RefusalPayload,
    strawberry.union("BindCardResult", description="绑卡结果 · Bound or refusal."),
]


@strawberry.type
class BindCardMutation:
    @strawberry.mutation(
        directives=[NEEDS_SESSION],
        description="绑卡 · Binds the channel account to a citizen; replaces an older binding and ends its "
        "sessions. The session goes on under a new token: if the answer is lost, the same request is "
        "refused with UNAUTHENTICATED, whatever its `Idempotency-Key`; `signIn` then finds the account bound.",
    )
    async def bind_card(self, info: Info, input: Annotated[BindCardInput, FORM]) -> BindCardResult:
        caller = info.context.require_session()
        command = BindCard(
            name=input.name,
            social_security_number=input.social_security_number,
            phone=input.phone,
            code=input.code,
        )
        bound = await run(
            info.context, bind_card, command, action=Action.BIND_CARD, first=confirm_identity
        )
        info.context.caller = replace(
            caller,
            session_id=bound.session.id,
            citizen_id=bound.citizen_id,
            level=RealNameLevel.BOUND,
        )
        return CardBound(
            viewer=await viewer_of(info, info.context.caller),
            token=bound.session.token,
            expires_at=moment(bound.session.expires_at),
        )
