"""A partner of the sandbox can be made to fail: to see what the gateway makes of it."""

from collections.abc import Awaitable, Callable
from enum import StrEnum

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sandbox.answers import SandboxResponse, read
from sandbox.world import World

FAULTS = "faults"


class Fault(StrEnum):
    """BUSY: not taken. REJECTED: never. ERROR, GARBAGE: not done, and no word on it.

    LOST_ANSWER: done, and no word on it.
    """

    BUSY = "BUSY"
    REJECTED = "REJECTED"
    ERROR = "ERROR"
    GARBAGE = "GARBAGE"
    LOST_ANSWER = "LOST_ANSWER"


class _Ordered(msgspec.Struct):
    """Of the calls to `path` of `partner`, the next so many; the `/outcome` too where asked."""

    partner: str
    path: str
    fault: Fault
    times: int = 1


def lost() -> Response:
    return PlainTextResponse("oops", 500)


INSTEAD: dict[Fault | None, Callable[[], Response]] = {
    Fault.BUSY: lambda: SandboxResponse({"code": "BUSY"}, 503),
    Fault.REJECTED: lambda: SandboxResponse({"code": "SAMPLE_REJECTION"}, 409),
    Fault.ERROR: lost,
    Fault.GARBAGE: lambda: PlainTextResponse("<html>", 200),
}


def door(world: World) -> Callable[[Request], Awaitable[Response]]:
    async def order(request: Request) -> Response:
        asked = await read(request, _Ordered)
        world.put(
            FAULTS, asked.partner + asked.path, {"fault": asked.fault.value, "times": asked.times}
        )
        return SandboxResponse({"ordered": True})

    return order


def next_of(world: World, partner: str, path: str) -> Fault | None:
    """The fault of this call, if one was ordered; it is used up."""
    ordered = world.take(FAULTS, partner + path)
    if ordered is None:
        return None
    if ordered["times"] > 1:
        world.put(FAULTS, partner + path, ordered | {"times": ordered["times"] - 1})
    return Fault(ordered["fault"])
