"""The channels' access to services: the same `run` and `read` that resolvers use."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from core.kernel.clock import Instant
from core.unit_of_work import Dependencies, Preparation, UnitOfWork
from gateway.resolvers.context import Context
from gateway.resolvers.run import read, run

C = TypeVar("C")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ChannelServicePort:
    context: Context

    @property
    def dependencies(self) -> Dependencies:
        return self.context.dependencies

    def now(self) -> Instant:
        return self.context.now()

    async def run(self, service: Callable[[UnitOfWork, C], Awaitable[T]], command: C) -> T:
        return await run(self.context, service, command, action=None)

    async def read(self, service: Callable[[Preparation, C], Awaitable[T]], command: C) -> T:
        return await read(self.context, service, command, action=None)
