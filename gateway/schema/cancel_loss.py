"""解挂 cancelLoss."""

from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS
from core.messaging import HOLDER_AND_CODES
from core.services.cancel_loss import CancelLoss, cancel_loss
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.types import CardStatus


@strawberry.input(description="解挂信息 · The bound phone, the card's number and a code.")
class CancelLossInput:
    phone: str = strawberry.field(description="手机号码 · The bound phone, 11 digits.")
    card_number: str = strawberry.field(description="卡号 · On the portrait side of the card.")
    code: str = strawberry.field(description="验证码 · 6 digits, sent for CANCEL_LOSS.")


@strawberry.type(description="解挂成功 · The card is again in the state before the loss.")
class LossCancelled:
    card: CardStatus = strawberry.field(description="卡状态信息 · The card now.")


CancelLossResult = Annotated[
    LossCancelled | RefusalPayload,
    strawberry.union("CancelLossResult", description="解挂结果 · Cancelled or refusal."),
]


@strawberry.type
class CancelLossMutation:
    @strawberry.mutation(
        metadata={ASKS: HOLDER_AND_CODES},
        directives=[NEEDS_PERSON],
        description="解挂 · Gives a lost card back the state before the loss, while no reissue is open. It never activates or unlocks a card.",
    )
    async def cancel_loss(
        self, info: Info, input: Annotated[CancelLossInput, FORM]
    ) -> CancelLossResult:
        info.context.require_citizen()
        command = CancelLoss(phone=input.phone, card_number=input.card_number, code=input.code)
        return LossCancelled(
            card=CardStatus.of(
                await run(info.context, cancel_loss, command, action=Action.CANCEL_LOSS)
            )
        )
