"""退出 signOut: ends the session."""

from datetime import datetime
from typing import Annotated

import strawberry

from core.audit import Action
from core.kernel.clock import moment
from core.services.sign_out import sign_out
from gateway.resolvers.run import run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import Info
from gateway.schema.levels import NEEDS_SESSION


@strawberry.type(description="已退出 · The session has ended.")
class SignedOut:
    at: datetime = strawberry.field(description="时间 · When.")


SignOutResult = Annotated[
    SignedOut | RefusalPayload,
    strawberry.union("SignOutResult", description="退出结果 · Done or refusal."),
]


@strawberry.type
class SignOutMutation:
    @strawberry.mutation(directives=[NEEDS_SESSION], description="退出 · Ends the session at once.")
    async def sign_out(self, info: Info) -> SignOutResult:
        info.context.require_session()
        return SignedOut(at=moment(await run(info.context, sign_out, None, action=Action.SIGN_OUT)))
