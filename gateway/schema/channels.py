"""渠道 channels: the apps and their entry steps, as in the guide."""

from collections.abc import Sequence
from typing import Annotated

import strawberry
from strawberry.types.enum import EnumValue

from core.kernel.callers import ChannelId, RealNameLevel
from gateway.channels.contract import Channel as CoreChannel
from gateway.resolvers.caching import public
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import Info

_SECONDS = 300


def publish_channels(kinds: Sequence[type[CoreChannel]]) -> None:
    """Fills the enum `ChannelId` with the registered channels, in their order."""
    ChannelId.__strawberry_definition__.values = [  # type: ignore[attr-defined]
        EnumValue(kind.id.name, kind.id, description=f"{kind.name.zh} · {kind.name.en}")
        for kind in kinds
    ]


@strawberry.type(description="进入步骤 · One step from opening the app to the card services.")
class EntryStep:
    order: int = strawberry.field(description="顺序 · Starts at 1.")
    title: str = strawberry.field(description="标题 · Short.")
    instruction: str = strawberry.field(description="操作说明 · As in the city's guide.")


@strawberry.type(description="桥接参数 · One parameter of the app's script bridge.")
class BridgeParameter:
    name: str = strawberry.field(description="名称 · Name of the parameter in the bridge.")
    value: str = strawberry.field(description="值 · Pass it on unchanged.")


@strawberry.type(
    description="页面桥接 · Parameters with which the page sets up the app's script bridge."
)
class Bridge:
    parameters: list[BridgeParameter] = strawberry.field(
        description="桥接参数 · All parameters of the bridge; valid for this page, for a short time."
    )


BridgeResult = Annotated[
    Bridge | RefusalPayload,
    strawberry.union("BridgeResult", description="页面桥接结果 · Parameters or refusal."),
]


@strawberry.type(description="渠道 · An app through which citizens reach the services.")
class Channel:
    channel: strawberry.Private[CoreChannel]

    @strawberry.field(description="渠道代码 · Identifies the channel.")
    def id(self) -> ChannelId:
        return self.channel.id

    @strawberry.field(description="渠道名称 · Name of the channel.")
    def name(self, info: Info) -> str:
        return self.channel.name.in_language(info.context.language)

    @strawberry.field(description="应用名称 · Name of the app as citizens know it.")
    def app_name(self, info: Info) -> str:
        return self.channel.app_name.in_language(info.context.language)

    @strawberry.field(description="进入步骤 · From opening the app to the card services.")
    def entry_steps(self, info: Info) -> list[EntryStep]:
        language = info.context.language
        return [
            EntryStep(
                order=step.order,
                title=step.title.in_language(language),
                instruction=step.instruction.in_language(language),
            )
            for step in self.channel.entry_steps
        ]

    @strawberry.field(
        description="实名级别 · What the platform proves: `PLATFORM` the citizen's name and number, "
        "`NONE` nothing."
    )
    def level(self) -> RealNameLevel:
        return self.channel.level

    @strawberry.field(
        description="是否需要绑卡 · Whether the citizen binds once (`bindCard`), because the platform proves no identity."
    )
    def binding_required(self) -> bool:
        return self.channel.binding_required

    @strawberry.field(
        description="授权地址 · The platform's page that sends the citizen back to `redirectUri` "
        "with a code and a state for `signIn`; null if the platform has none."
    )
    def authorize_url(
        self,
        info: Info,
        redirect_uri: Annotated[
            str, strawberry.argument(description="回跳地址 · A page on a registered domain.")
        ],
        challenge: Annotated[
            str | None,
            strawberry.argument(
                description="浏览器校验 · base64url of the SHA-256 of a random verifier that the "
                "front-end stores: the state is valid only together with it (RFC 7636, S256). "
                "Required outside the sandbox, unless the operator configured otherwise."
            ),
        ] = None,
    ) -> str | None:
        context = info.context
        return self.channel.authorization_url(
            redirect_uri, challenge or "", context.dependencies.seals, context.now()
        )

    @strawberry.field(
        description="页面桥接 · Parameters to set up the app's script bridge: "
        "WeChat `wx.config` (JS-SDK signature), Ping An `sc.config` (initCode). "
        "Refused with `NOT_OFFERED_HERE` if the app has none."
    )
    async def bridge(
        self,
        info: Info,
        page_url: Annotated[
            str, strawberry.argument(description="页面地址 · The page that uses the bridge.")
        ],
    ) -> BridgeResult:
        given = await self.channel.bridge(page_url, info.context.now())
        return Bridge(
            parameters=[BridgeParameter(name=name, value=value) for name, value in given.items()]
        )


@strawberry.type
class ChannelsQuery:
    @strawberry.field(
        metadata=public(_SECONDS),
        description="全部渠道 · All apps with their entry steps. No session needed.",
    )
    def channels(self, info: Info) -> list[Channel]:
        return [Channel(channel=channel) for channel in info.context.application.channels.values()]

    @strawberry.field(
        metadata=public(_SECONDS),
        description="渠道 · One app with its entry steps. No session needed.",
    )
    def channel(
        self,
        info: Info,
        id: Annotated[ChannelId, strawberry.argument(description="渠道代码 · Which app.")],
    ) -> Channel:
        return Channel(channel=info.context.application.channels[id])
