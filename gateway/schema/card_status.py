"""卡状态查询 cardStatus."""

from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS, CARDS
from core.services.card_status import card_status
from gateway.resolvers.run import read
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.types import CardStatus

CardStatusResult = Annotated[
    CardStatus | RefusalPayload,
    strawberry.union("CardStatusResult", description="卡状态查询结果 · The card or a refusal."),
]


@strawberry.type
class CardStatusQuery:
    @strawberry.field(
        directives=[NEEDS_PERSON],
        metadata={ASKS: CARDS},
        description="卡状态查询 · The viewer's card.",
    )
    async def card_status(self, info: Info) -> CardStatusResult:
        info.context.require_citizen()
        return CardStatus.of(await read(info.context, card_status, None, action=Action.CARD_STATUS))
