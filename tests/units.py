"""Changes that tests make with the core's own functions, as services do."""

import inspect
from collections.abc import Callable
from typing import Any

from core.db import Database, Reader
from core.kernel.clock import Instant
from core.unit_of_work import Dependencies, UnitOfWork, perform
from tests.front_end import World


async def perform_in(
    database: Database,
    dependencies: Dependencies | None,
    now: Instant,
    work: Callable[[UnitOfWork], Any],
) -> Any:
    """The result of `work`, which may be a plain function or a coroutine function."""

    def new_unit(reader: Reader) -> UnitOfWork:
        return UnitOfWork(reader, now, None, dependencies)  # type: ignore[arg-type]

    async def service(unit: UnitOfWork) -> Any:
        result = work(unit)
        return await result if inspect.isawaitable(result) else result

    _, result = await perform(database, new_unit, service)
    return result


async def change(world: World, work: Callable[[UnitOfWork], Any]) -> Any:
    application = world.application
    return await perform_in(
        application.database, application.dependencies, application.clock(), work
    )
