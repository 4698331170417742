"""挂失 reportLoss."""

from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS
from core.messaging import HOLDER_AND_CODES
from core.services.report_loss import ReportLoss, report_loss
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.types import CardStatus


@strawberry.input(description="挂失信息 · The bound phone and a code sent to it.")
class ReportLossInput:
    phone: str = strawberry.field(description="手机号码 · The bound phone, 11 digits.")
    code: str = strawberry.field(description="验证码 · 6 digits, sent for REPORT_LOSS.")


@strawberry.type(description="挂失成功 · The card is reported lost; this does not expire.")
class LossReported:
    card: CardStatus = strawberry.field(description="卡状态信息 · The card now.")


ReportLossResult = Annotated[
    LossReported | RefusalPayload,
    strawberry.union("ReportLossResult", description="挂失结果 · Reported or refusal."),
]


@strawberry.type
class ReportLossMutation:
    @strawberry.mutation(
        metadata={ASKS: HOLDER_AND_CODES},
        directives=[NEEDS_PERSON],
        description="挂失 · Formally reports the card lost; it stops working.",
    )
    async def report_loss(
        self, info: Info, input: Annotated[ReportLossInput, FORM]
    ) -> ReportLossResult:
        info.context.require_citizen()
        command = ReportLoss(phone=input.phone, code=input.code)
        return LossReported(
            card=CardStatus.of(
                await run(info.context, report_loss, command, action=Action.REPORT_LOSS)
            )
        )
