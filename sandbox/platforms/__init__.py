"""The platforms' servers, as the gateway calls them and as they call the gateway.

Each verifies what the gateway sends as the real one would, and refuses as it would.
"""

from starlette.routing import BaseRoute, Mount

from core.kernel.callers import ChannelId
from core.kernel.settings import Settings
from sandbox.personas import Persona
from sandbox.platforms import ping_an, unionpay, wechat
from sandbox.platforms.platform import Platform
from sandbox.world import World

PLATFORMS: tuple[Platform, ...] = (wechat.PLATFORM, unionpay.PLATFORM, ping_an.PLATFORM)


def platform_routes(settings: Settings, world: World) -> list[BaseRoute]:
    return [Mount(platform.path, routes=platform.routes(settings, world)) for platform in PLATFORMS]


def authorize(world: World, channel: ChannelId, persona: Persona) -> str:
    """The credential that the channel's app hands to the front-end once the persona consents.

    Raises `LookupError` for a channel whose platform the sandbox does not have.
    """
    platforms = {platform.channel: platform for platform in PLATFORMS}
    return platforms[channel].authorize(world, persona)
