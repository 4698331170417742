"""Fault injection: makes a partner of the sandbox fail its next calls."""

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
    """BUSY: not processed, try later. REJECTED: refused for good.

    ERROR and GARBAGE: not processed, and the response says nothing about it. LOST_ANSWER:
    processed, but the response says nothing about it. SLOW: processed and answered, but only after
    `SLOW_SECONDS`.
    """

    BUSY = "BUSY"
    REJECTED = "REJECTED"
    ERROR = "ERROR"
    GARBAGE = "GARBAGE"
    LOST_ANSWER = "LOST_ANSWER"
    SLOW = "SLOW"


SLOW_SECONDS = 2.0
"""Longer than the gateway waits for what it can do without, shorter than it waits for the rest."""


class _FaultRequest(msgspec.Struct):
    """The next `times` calls to `path` of `partner` fail. `code` is that of a rejection."""

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


def fault_endpoint(world: World) -> Callable[[Request], Awaitable[Response]]:
    async def inject(request: Request) -> Response:
        asked = await read(request, _FaultRequest)
        world.put(FAULTS, asked.partner + asked.path, msgspec.to_builtins(asked))
        return SandboxResponse({"ordered": True})

    return inject


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """The fault of a call. `instead` replaces the response, if the call is not processed."""

    fault: Fault
    instead: Response | None


def next_fault(world: World, partner: str, path: str) -> InjectedFault | None:
    """Takes the fault of this call, if there is one."""
    ordered = world.take(FAULTS, partner + path)
    if ordered is None:
        return None
    if ordered["times"] > 1:
        world.put(FAULTS, partner + path, ordered | {"times": ordered["times"] - 1})
    fault = Fault(ordered["fault"])
    answer = _INSTEAD.get(fault)
    return InjectedFault(fault, answer and answer(ordered["code"]))
