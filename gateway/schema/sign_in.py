"""登录 signIn: exchanges the app's credential for a session."""

from datetime import datetime
from typing import Annotated

import strawberry

from core.kernel.callers import ChannelId
from core.kernel.clock import moment
from core.services import sign_in as service
from gateway.channels.contract import Entry
from gateway.resolvers.service_port import ChannelServicePort
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.viewer import Viewer, viewer_of


@strawberry.input(description="登录信息 · The credential that the app handed to the front-end.")
class SignInInput:
    channel: ChannelId = strawberry.field(description="渠道 · Through which app.")
    credential: str = strawberry.field(
        description="登录凭证 · WeChat and UnionPay: the OAuth `code`. Ping An: the bridge's `requestCode`."
    )
    state: str | None = strawberry.field(
        default=None,
        description="防伪状态 · The `state` returned with the code; not used by Ping An.",
    )
    verifier: str | None = strawberry.field(
        default=None,
        description="浏览器校验值 · The verifier whose SHA-256 was given as `challenge` to `authorizeUrl`.",
    )


@strawberry.type(description="登录成功 · A session has begun.")
class SignedIn:
    signed_in: strawberry.Private[service.SignedIn]

    @strawberry.field(description="会话令牌 · Send it as `Authorization: Bearer <token>`.")
    def token(self) -> str:
        return self.signed_in.session.token

    @strawberry.field(description="失效时间 · When the session ends.")
    def expires_at(self) -> datetime:
        return moment(self.signed_in.session.expires_at)

    @strawberry.field(description="当前用户 · Who has signed in.")
    async def viewer(self, info: Info) -> Viewer:
        return await viewer_of(info, self.signed_in.caller)


SignInResult = Annotated[
    SignedIn | RefusalPayload,
    strawberry.union("SignInResult", description="登录结果 · Session or refusal."),
]


@strawberry.type
class SignInMutation:
    @strawberry.mutation(description="登录 · Exchanges the app's credential for a session.")
    async def sign_in(self, info: Info, input: Annotated[SignInInput, FORM]) -> SignInResult:
        context = info.context
        entry = Entry(
            credential=input.credential,
            state=input.state or "",
            verifier=input.verifier or "",
            device_key=context.device_key,
            address=context.address,
        )
        channel = context.application.channels[input.channel]
        context.require_channel(input.channel)
        return SignedIn(signed_in=await channel.sign_in(entry, ChannelServicePort(context)))
