"""服务评价 rateService."""

from datetime import datetime
from typing import Annotated

import strawberry

from core.audit import Action
from core.kernel.clock import moment
from core.kernel.ids import id_from
from core.services.rate_service import RateService, rate_service
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON


@strawberry.input(description="服务评价 · How a service was.")
class RateServiceInput:
    history_entry_id: strawberry.ID = strawberry.field(
        description="办理记录编号 · `id` of an entry of `serviceHistory` that `canRate`."
    )
    score: int = strawberry.field(
        description="评价等级 · 5 非常满意, 4 满意, 3 基本满意, 2 不满意, 1 非常不满意."
    )
    comment: str | None = strawberry.field(
        default=None,
        description="评价内容 · At most 200 characters; null or omitted: none. Ask citizens to write no "
        "personal data.",
    )


@strawberry.type(description="评价已提交 · It goes to the city's 好差评 platform without a name.")
class ServiceRated:
    at: datetime = strawberry.field(description="时间 · When.")


RateServiceResult = Annotated[
    ServiceRated | RefusalPayload,
    strawberry.union("RateServiceResult", description="服务评价结果 · Rated or refusal."),
]


@strawberry.type
class RateServiceMutation:
    @strawberry.mutation(
        directives=[NEEDS_PERSON],
        description="服务评价（好差评） · Rates one of the services that the viewer used, once, in any channel.",
    )
    async def rate_service(
        self, info: Info, input: Annotated[RateServiceInput, FORM]
    ) -> RateServiceResult:
        info.context.require_citizen()
        command = RateService(id_from(input.history_entry_id), input.score, input.comment)
        at = await run(info.context, rate_service, command, action=Action.RATE_SERVICE)
        return ServiceRated(at=moment(at))
