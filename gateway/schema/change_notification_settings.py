"""通知设置 notificationSettings and changeNotificationSettings."""

from datetime import datetime
from typing import Annotated

import strawberry

from core.audit import Action
from core.citizens import Choice, Notice
from core.kernel.callers import ChannelId
from core.kernel.clock import moment
from core.services.change_notification_settings import (
    ChangedChoice,
    ChangeNotificationSettings,
    change_notification_settings,
    own_notification_settings,
)
from gateway.resolvers.run import read, run
from gateway.schema.enums import publish
from gateway.schema.errors import RefusalPayload
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON

publish(
    Notice,
    "通知事项 · Events that a citizen is notified of.",
    {notice: notice.heading for notice in Notice},
)


@strawberry.type(description="通知设置项 · How one notice reaches the viewer.")
class NotificationSetting:
    notice: Notice = strawberry.field(description="通知事项 · Which notice.")
    choice: strawberry.Private[Choice]

    @strawberry.field(description="通知名称 · The notice in words.")
    def title(self, info: Info) -> str:
        return self.notice.heading.in_language(info.context.language)

    @strawberry.field(description="短信提醒 · Whether it comes by SMS to the bound phone.")
    def sms(self) -> bool:
        return self.choice.sms or self.notice.is_security

    @strawberry.field(
        description="短信必发 · True for notices about the security of card and account, so that an "
        "intruder cannot switch them off."
    )
    def sms_required(self) -> bool:
        return self.notice.is_security

    @strawberry.field(
        description="渠道消息 · Whether it is sent as a message in the app: security notices in every "
        "channel where the viewer is bound, others in the channel in use."
    )
    def channel(self) -> bool:
        return self.choice.channel

    @strawberry.field(description="可送达渠道 · The channels that have a message for this notice.")
    def channels(self, info: Info) -> list[ChannelId]:
        settings = info.context.dependencies.settings
        return [
            channel
            for channel in info.context.application.channels
            if settings.template(channel.value, self.notice.value) is not None
        ]


@strawberry.type(description="通知设置 · For every notice, how it reaches the viewer.")
class NotificationSettings:
    items: list[NotificationSetting] = strawberry.field(description="设置项 · One a notice.")


@strawberry.input(description="通知设置变更项 · Null or omitted: unchanged.")
class NotificationSettingInput:
    notice: Notice = strawberry.field(description="通知事项 · Which notice.")
    sms: bool | None = strawberry.field(
        default=None, description="短信提醒 · Cannot be switched off where `smsRequired`."
    )
    channel: bool | None = strawberry.field(default=None, description="渠道消息 · In the app.")


@strawberry.input(description="通知设置变更 · Only the listed notices change.")
class ChangeNotificationSettingsInput:
    settings: list[NotificationSettingInput] = strawberry.field(
        description="变更项 · If a notice is listed twice, the last entry applies."
    )


@strawberry.type(description="通知设置已变更 · All settings as they are now.")
class NotificationSettingsChanged:
    at: datetime = strawberry.field(description="时间 · When.")
    settings: NotificationSettings = strawberry.field(description="通知设置 · As it is now.")


NotificationSettingsResult = Annotated[
    NotificationSettings | RefusalPayload,
    strawberry.union("NotificationSettingsResult", description="通知设置结果 · Or a refusal."),
]
ChangeNotificationSettingsResult = Annotated[
    NotificationSettingsChanged | RefusalPayload,
    strawberry.union(
        "ChangeNotificationSettingsResult", description="通知设置变更结果 · Changed or refusal."
    ),
]


@strawberry.type
class NotificationSettingsQuery:
    @strawberry.field(
        directives=[NEEDS_PERSON],
        description="通知设置 · Which notices come by SMS and which in the app. By default all do, except the SMS of a new device.",
    )
    async def notification_settings(self, info: Info) -> NotificationSettingsResult:
        info.context.require_citizen()
        return _settings(
            await read(
                info.context, own_notification_settings, None, action=Action.NOTIFICATION_SETTINGS
            )
        )


@strawberry.type
class NotificationSettingsMutation:
    @strawberry.mutation(
        directives=[NEEDS_PERSON], description="通知设置变更 · Chooses which notices come, and how."
    )
    async def change_notification_settings(
        self, info: Info, input: Annotated[ChangeNotificationSettingsInput, FORM]
    ) -> ChangeNotificationSettingsResult:
        info.context.require_citizen()
        command = ChangeNotificationSettings(
            [ChangedChoice(wanted.notice, wanted.sms, wanted.channel) for wanted in input.settings]
        )
        choices = await run(
            info.context, change_notification_settings, command, action=Action.CHANGE_NOTIFICATIONS
        )
        return NotificationSettingsChanged(
            at=moment(info.context.now()), settings=_settings(choices)
        )


def _settings(choices: dict[Notice, Choice]) -> NotificationSettings:
    return NotificationSettings(
        items=[
            NotificationSetting(notice=notice, choice=choice) for notice, choice in choices.items()
        ]
    )
