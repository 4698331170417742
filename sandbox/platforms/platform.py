"""What the sandbox needs to know about a platform."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute

from core.kernel.callers import ChannelId
from core.kernel.settings import Settings
from sandbox.paths import MOUNT
from sandbox.personas import Persona
from sandbox.world import World


def _nothing_more(_settings: Settings) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Platform:
    """`routes` are the platform's server, `authorize` returns the credential that its app hands
    to the front-end.

    `settings` are the gateway's settings for this platform, beyond its URL, app id, redirect
    domains and message templates.
    """

    channel: ChannelId
    routes: Callable[[Settings, World], list[BaseRoute]]
    authorize: Callable[[World, Persona], str]
    settings: Callable[[Settings], dict[str, Any]] = _nothing_more

    @property
    def slug(self) -> str:
        return self.channel.value.lower().replace("_", "-")

    @property
    def path(self) -> str:
        return f"{MOUNT}/platforms/{self.slug}"
