"""取消申请 cancelApplication."""

from typing import Annotated

import strawberry

from core.audit import Action
from core.cards import ASKS, CITIZEN
from core.services.cancel_application import CancelApplication, cancel_application
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.production_types import ProductionProgress


@strawberry.input(description="取消申请信息 · Which application.")
class CancelApplicationInput:
    application_number: str = strawberry.field(description="申请编号 · As in `productionProgress`.")


@strawberry.type(
    description="取消申请已提交 · The cancellation takes effect once the card issuer has accepted it."
)
class ApplicationCancelled:
    progress: ProductionProgress = strawberry.field(
        description="制卡进度 · The application now; `pendingChange` until the card issuer has answered."
    )


CancelApplicationResult = Annotated[
    ApplicationCancelled | RefusalPayload,
    strawberry.union("CancelApplicationResult", description="取消申请结果 · Submitted or refusal."),
]


@strawberry.type
class CancelApplicationMutation:
    @strawberry.mutation(
        metadata={ASKS: CITIZEN},
        directives=[NEEDS_PERSON],
        description="取消申请 · Withdraws an application until manufacture begins. Once the card issuer has accepted it, the application is closed: the citizen can apply again, and a lost card can be restored or reissued.",
    )
    async def cancel_application(
        self, info: Info, input: Annotated[CancelApplicationInput, FORM]
    ) -> CancelApplicationResult:
        info.context.require_citizen()
        command = CancelApplication(application_number=input.application_number)
        progress = await run(
            info.context, cancel_application, command, action=Action.CANCEL_APPLICATION
        )
        return ApplicationCancelled(progress=ProductionProgress(progress=progress))
