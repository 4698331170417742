"""补卡 reissueCard."""

from enum import StrEnum
from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS
from core.kernel.texts import Text
from core.messaging import HOLDER_AND_CODES
from core.services.reissue_card import ReissueCard, reissue_card
from gateway.resolvers.run import run
from gateway.schema.enums import publish
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.production_types import ProductionProgress
from gateway.schema.receipt import Receipt


class PickupMethod(StrEnum):
    OUTLET = "OUTLET"


publish(
    PickupMethod,
    "领卡方式 · How the card is collected.",
    {PickupMethod.OUTLET: Text("服务网点", "at an outlet")},
)


@strawberry.input(
    description="补卡信息 · Where to collect the new card, the bound phone and a code."
)
class ReissueCardInput:
    pickup_method: PickupMethod = strawberry.field(description="领卡方式 · OUTLET 服务网点.")
    district_code: str = strawberry.field(description="发卡区县 · GB/T 2260 code.")
    outlet_code: str = strawberry.field(
        description="发卡网点 · An outlet of the district that serves the card's bank, see `outlets`."
    )
    phone: str = strawberry.field(description="手机号码 · The bound phone, 11 digits.")
    code: str = strawberry.field(description="验证码 · 6 digits, sent for REISSUE_CARD.")


@strawberry.type(description="补卡已受理 · A new card of the same bank is being made.")
class CardReissued:
    application_number: str = strawberry.field(description="申请编号 · Number of the reissue.")
    fee_fen: int = strawberry.field(description="工本费 · In fen (1/100 yuan).")
    progress: ProductionProgress = strawberry.field(
        description="制卡进度 · Progress of the new card."
    )
    receipt: Receipt = strawberry.field(description="受理回执 · Receipt, also as PDF.")


ReissueCardResult = Annotated[
    CardReissued | RefusalPayload,
    strawberry.union("ReissueCardResult", description="补卡结果 · Accepted or refusal."),
]


@strawberry.type
class ReissueCardMutation:
    @strawberry.mutation(
        metadata={ASKS: HOLDER_AND_CODES},
        directives=[NEEDS_PERSON],
        description="补卡 · A new card for one that was reported lost; from then on it cannot be restored.",
    )
    async def reissue_card(
        self, info: Info, input: Annotated[ReissueCardInput, FORM]
    ) -> ReissueCardResult:
        info.context.require_citizen()
        command = ReissueCard(
            pickup_method=input.pickup_method.value,
            district_code=input.district_code,
            outlet_code=input.outlet_code,
            phone=input.phone,
            code=input.code,
        )
        progress = await run(info.context, reissue_card, command, action=Action.REISSUE_CARD)
        return CardReissued(
            application_number=progress.order.application.number,
            fee_fen=info.context.dependencies.settings.reissue_fee_fen,
            progress=ProductionProgress(progress=progress),
            receipt=Receipt(application=progress.order.application),
        )
