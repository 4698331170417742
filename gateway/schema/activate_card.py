"""激活 activateCard."""

from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS
from core.messaging import HOLDER_AND_CODES
from core.services.activate_card import ActivateCard, activate_card, generate_password
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.types import CardStatus


@strawberry.input(
    description="激活信息 · The phone given when applying, the card's number and a code."
)
class ActivateCardInput:
    phone: str = strawberry.field(
        description="手机号码 · The phone given when applying, 11 digits."
    )
    card_number: str = strawberry.field(description="卡号 · On the portrait side of the card.")
    code: str = strawberry.field(description="验证码 · 6 digits, sent for ACTIVATE_CARD.")


@strawberry.type(
    description="激活成功 · The 人社 function is open; a service password went to the phone. "
    "The financial function is opened at the bank."
)
class CardActivated:
    card: CardStatus = strawberry.field(description="卡状态信息 · The card now.")


ActivateCardResult = Annotated[
    CardActivated | RefusalPayload,
    strawberry.union("ActivateCardResult", description="激活结果 · Activated or refusal."),
]


@strawberry.type
class ActivateCardMutation:
    @strawberry.mutation(
        metadata={ASKS: HOLDER_AND_CODES},
        directives=[NEEDS_PERSON],
        description="激活人社功能 · Activates a new card; after a reissue the old card is cancelled with it.",
    )
    async def activate_card(
        self, info: Info, input: Annotated[ActivateCardInput, FORM]
    ) -> ActivateCardResult:
        info.context.require_citizen()
        command = ActivateCard(phone=input.phone, card_number=input.card_number, code=input.code)
        holder = await run(
            info.context,
            activate_card,
            command,
            action=Action.ACTIVATE_CARD,
            first=generate_password,
        )
        return CardActivated(card=CardStatus.of(holder))
