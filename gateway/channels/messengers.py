"""Notices into the channels, each by the template that the operator registered there."""

from collections.abc import Mapping

from core.callers import ChannelId
from core.channel_messages import Messenger, Unreachable
from core.clock import Instant
from core.errors import NotOfferedHere
from core.settings import Settings, split
from gateway.channels.base import Channel, Message, Undeliverable


class ChannelMessenger:
    """Sends through one channel; a notice without a template is not for that channel."""

    def __init__(self, channel: Channel, templates: Mapping[str, str], url: str) -> None:
        self._channel = channel
        self._templates = templates
        self._url = url

    async def notify(self, account: str, template: str, text: str, now: Instant) -> str:
        template_id = self._templates.get(template)
        if template_id is None:
            raise Unreachable("no template")
        message = Message(template_id, text, {"content": text}, self._url)
        try:
            return await self._channel.send(account, message, now)
        except Undeliverable as error:
            raise Unreachable(error.code) from error
        except NotOfferedHere as error:
            raise Unreachable("not offered") from error


def build_messengers(
    settings: Settings, channels: Mapping[ChannelId, Channel]
) -> dict[ChannelId, Messenger]:
    templates = {
        ChannelId.WECHAT: settings.wechat_templates,
        ChannelId.UNIONPAY: settings.unionpay_templates,
        ChannelId.PING_AN: settings.ping_an_templates,
    }
    return {
        channel_id: ChannelMessenger(
            channel, read_templates(templates.get(channel_id, "")), settings.wechat_card_url
        )
        for channel_id, channel in channels.items()
    }


def read_templates(setting: str) -> dict[str, str]:
    """`CARD_READY:id, LOSS_REPORTED:id`."""
    pairs = (part.partition(":") for part in split(setting))
    return {notice.strip(): template_id.strip() for notice, _, template_id in pairs}
