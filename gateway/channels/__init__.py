"""The apps through which citizens enter. `docs/adding-a-channel.md` says how to add one."""

from collections.abc import Iterable

import httpx

from core.kernel.callers import ChannelId
from core.kernel.settings import Settings
from gateway.channels.contract import Channel
from gateway.channels.ping_an import PingAn
from gateway.channels.unionpay import UnionPay
from gateway.channels.wechat import WeChat

CHANNELS: tuple[type[Channel], ...] = (WeChat, UnionPay, PingAn)


def build_channels(
    settings: Settings, http: httpx.AsyncClient, kinds: Iterable[type[Channel]] = CHANNELS
) -> dict[ChannelId, Channel]:
    return {kind.id: kind(settings, http) for kind in kinds}
