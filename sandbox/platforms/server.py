"""What the platforms' servers share: whom they serve, and endpoints that answer a JSON body."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import orjson
from starlette.requests import Request
from starlette.responses import Response

from core.kernel.settings import Settings
from sandbox.world import World

Body: TypeAlias = dict[str, Any]


class Server:
    def __init__(self, settings: Settings, world: World) -> None:
        self._settings = settings
        self._world = world


def json_endpoint(call: Callable[[Body], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return call(orjson.loads(await request.body()))

    return endpoint
