"""登录会话 sessions and endSession."""

from datetime import datetime
from typing import Annotated

import strawberry

from core.audit import Action
from core.citizens import OpenSession
from core.kernel.callers import ChannelId
from core.kernel.clock import moment
from core.kernel.ids import id_from
from core.services.own_sessions import EndSession, end_session, own_sessions
from gateway.resolvers.run import read, run
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import Info
from gateway.schema.levels import NEEDS_SESSION


@strawberry.type(description="登录会话 · One open session of the viewer.")
class Session:
    session: strawberry.Private[OpenSession]

    @strawberry.field(description="会话编号 · For `endSession`.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.session.id))

    @strawberry.field(description="渠道 · Through which app.")
    def channel(self) -> ChannelId:
        return self.session.channel

    @strawberry.field(description="登录时间 · When it began.")
    def started_at(self) -> datetime:
        return moment(self.session.started_at)

    @strawberry.field(description="失效时间 · When it expires.")
    def expires_at(self) -> datetime:
        return moment(self.session.expires_at)

    @strawberry.field(description="是否当前会话 · Whether it is the session of this request.")
    def current(self, info: Info) -> bool:
        return self.session.id == info.context.require_session().session_id


@strawberry.type(description="会话已结束 · Its token no longer works.")
class SessionEnded:
    at: datetime = strawberry.field(description="时间 · When.")


EndSessionResult = Annotated[
    SessionEnded | RefusalPayload,
    strawberry.union("EndSessionResult", description="结束会话结果 · Ended or refusal."),
]


@strawberry.type
class SessionsQuery:
    @strawberry.field(
        directives=[NEEDS_SESSION],
        description="登录会话 · The viewer's open sessions in all channels, newest first.",
    )
    async def sessions(self, info: Info) -> list[Session]:
        info.context.require_session()
        found = await read(info.context, own_sessions, None, action=Action.SESSIONS)
        return [Session(session=session) for session in found]


@strawberry.type
class EndSessionMutation:
    @strawberry.mutation(
        directives=[NEEDS_SESSION],
        description="结束会话 · Ends one of the viewer's sessions at once.",
    )
    async def end_session(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="会话编号 · Of `sessions`.")],
    ) -> EndSessionResult:
        info.context.require_session()
        command = EndSession(id_from(id))
        return SessionEnded(
            at=moment(await run(info.context, end_session, command, action=Action.END_SESSION))
        )
