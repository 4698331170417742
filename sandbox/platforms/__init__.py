"""The three platforms' servers, as the gateway and its callbacks see them.

Each verifies what the gateway sends as the real one would, and refuses as it would.
"""

from starlette.routing import BaseRoute, Mount

from core.kernel.callers import ChannelId
from core.kernel.settings import Settings
from sandbox.personas import Persona
from sandbox.platforms import ping_an, unionpay, wechat
from sandbox.world import World

_PATHS = {
    ChannelId.WECHAT: "wechat",
    ChannelId.UNIONPAY: "unionpay",
    ChannelId.PING_AN: "ping-an",
}


def platform_routes(settings: Settings, world: World) -> list[BaseRoute]:
    routes = {
        ChannelId.WECHAT: wechat.routes(settings, world),
        ChannelId.UNIONPAY: unionpay.routes(settings, world),
        ChannelId.PING_AN: ping_an.routes(settings, world),
    }
    return [
        Mount(f"/sandbox/platforms/{path}", routes=routes[channel])
        for channel, path in _PATHS.items()
    ]


async def authorize(world: World, settings: Settings, channel: ChannelId, persona: Persona) -> str:
    """The credential that the channel's app hands to the front-end once the persona agrees."""
    match channel:
        case ChannelId.WECHAT:
            return wechat.authorize(world, persona)
        case ChannelId.UNIONPAY:
            return unionpay.authorize(world, persona)
        case ChannelId.PING_AN:
            return ping_an.authorize(world, persona)
