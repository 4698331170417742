"""更改领卡网点 changePickupOutlet."""

from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS, CITIZEN
from core.services.change_pickup_outlet import ChangePickupOutlet, change_pickup_outlet
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.production_types import ProductionProgress


@strawberry.input(
    description="更改领卡网点信息 · Which application, and where to collect the card."
)
class ChangePickupOutletInput:
    application_number: str = strawberry.field(description="申请编号 · As in `productionProgress`.")
    district_code: str = strawberry.field(description="领卡区县 · GB/T 2260 code.")
    outlet_code: str = strawberry.field(
        description="领卡网点 · An outlet of the district that serves the card's bank, see `outlets`."
    )


@strawberry.type(
    description="更改领卡网点已提交 · The outlet changes once the card issuer has accepted it."
)
class PickupOutletChanged:
    progress: ProductionProgress = strawberry.field(
        description="制卡进度 · The application now; `pendingChange` until the card issuer has answered."
    )


ChangePickupOutletResult = Annotated[
    PickupOutletChanged | RefusalPayload,
    strawberry.union(
        "ChangePickupOutletResult", description="更改领卡网点结果 · Submitted or refusal."
    ),
]


@strawberry.type
class ChangePickupOutletMutation:
    @strawberry.mutation(
        metadata={ASKS: CITIZEN},
        directives=[NEEDS_PERSON],
        description="更改领卡网点 · Sends the card to another outlet of its bank, until stock transfer.",
    )
    async def change_pickup_outlet(
        self, info: Info, input: Annotated[ChangePickupOutletInput, FORM]
    ) -> ChangePickupOutletResult:
        info.context.require_citizen()
        command = ChangePickupOutlet(
            application_number=input.application_number,
            district_code=input.district_code,
            outlet_code=input.outlet_code,
        )
        progress = await run(
            info.context, change_pickup_outlet, command, action=Action.CHANGE_PICKUP_OUTLET
        )
        return PickupOutletChanged(progress=ProductionProgress(progress=progress))
