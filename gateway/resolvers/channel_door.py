"""Through which a channel reaches the services: the same `run` and `read` as every resolver's."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from core.kernel.clock import Instant
from core.unit_of_work import Errand, Tools, Unit
from gateway.resolvers.context import Context
from gateway.resolvers.run import read, run

C = TypeVar("C")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ChannelDoor:
    context: Context

    @property
    def tools(self) -> Tools:
        return self.context.tools

    def now(self) -> Instant:
        return self.context.now()

    async def run(self, service: Callable[[Unit, C], Awaitable[T]], command: C) -> T:
        return await run(self.context, service, command)

    async def read(self, service: Callable[[Errand, C], Awaitable[T]], command: C) -> T:
        return await read(self.context, service, command, noted=None)
