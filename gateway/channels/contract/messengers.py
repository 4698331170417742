"""Sends notices through the channels, by the templates that the operator registered there."""

from collections.abc import Mapping

from core.kernel.callers import ChannelId
from core.kernel.clock import Instant
from core.kernel.refusals import NotOfferedHere
from core.kernel.settings import Settings
from core.messaging import Messenger, Unreachable
from gateway.channels.contract.base import Channel
from gateway.channels.contract.shapes import Message, Undeliverable


class ChannelMessenger:
    def __init__(self, channel: Channel, url: str) -> None:
        self._channel = channel
        self._url = url

    async def notify(
        self, account: str, template_id: str, text: str, values: Mapping[str, str], now: Instant
    ) -> str:
        message = Message(template_id, text, values, self._url)
        try:
            return await self._channel.send(account, message, now)
        except Undeliverable as error:
            raise Unreachable(error.code) from error
        except NotOfferedHere as error:
            raise Unreachable("not offered") from error


def build_messengers(
    settings: Settings, channels: Mapping[ChannelId, Channel]
) -> dict[ChannelId, Messenger]:
    """Tapping a message opens the page of the card services."""
    return {
        channel_id: ChannelMessenger(channel, settings.wechat_card_url)
        for channel_id, channel in channels.items()
    }
