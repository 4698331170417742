"""A partner of the sandbox can be made to fail: to see what the gateway makes of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
    """Of the calls to `path` of `partner`, the next so many; the `/outcome` too where asked.

    `code` is that of a rejection.
    """

    partner: str
    path: str
    fault: Fault
    times: int = 1
    code: str = "SAMPLE_REJECTION"


def lost() -> Response:
    return PlainTextResponse("oops", 500)


_INSTEAD: dict[Fault, Callable[[str], Response]] = {
    Fault.BUSY: lambda _: SandboxResponse({"code": "BUSY"}, 503),
    Fault.REJECTED: lambda code: SandboxResponse({"code": code}, 409),
    Fault.ERROR: lambda _: lost(),
    Fault.GARBAGE: lambda _: PlainTextResponse("<html>", 200),
}


def door(world: World) -> Callable[[Request], Awaitable[Response]]:
    async def order(request: Request) -> Response:
        asked = await read(request, _Ordered)
        world.put(FAULTS, asked.partner + asked.path, msgspec.to_builtins(asked))
        return SandboxResponse({"ordered": True})

    return order


@dataclass(frozen=True, slots=True)
class Next:
    """The fault of a call. `instead` is the answer where the partner does nothing at all."""

    fault: Fault
    instead: Response | None


def next_of(world: World, partner: str, path: str) -> Next | None:
    """The fault of this call, if one was ordered; it is used up."""
    ordered = world.take(FAULTS, partner + path)
    if ordered is None:
        return None
    if ordered["times"] > 1:
        world.put(FAULTS, partner + path, ordered | {"times": ordered["times"] - 1})
    fault = Fault(ordered["fault"])
    answer = _INSTEAD.get(fault)
    return Next(fault, answer and answer(ordered["code"]))
