"""Runs a service in a unit of work, and commits it. The only place where units are committed."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from core.db import Database, DatabaseUnavailable, LostRace, Reader
from core.unit_of_work.unit import UnitOfWork

MAX_TRIES = 12
_LONGEST_PAUSE_SECONDS = 0.05

T = TypeVar("T")

_Locks: TypeAlias = WeakValueDictionary[int, asyncio.Lock]
_running: WeakKeyDictionary[asyncio.AbstractEventLoop, _Locks] = WeakKeyDictionary()
"""By subject: changes of one person run one after the other in this process, instead of losing races."""


async def perform(
    database: Database,
    new_unit: Callable[[Reader], UnitOfWork],
    service: Callable[[UnitOfWork], Awaitable[T]],
    *,
    subject_id: int = 0,
    first_reader: Reader | None = None,
) -> tuple[UnitOfWork, T]:
    """The committed unit and the service's result.

    A lost race is run again with a new unit, which reads anew; `first_reader` may hold rows that
    were read before. `subject_id` is whom most of it is about, if anybody. Raises
    `DatabaseUnavailable`.
    """
    if not subject_id:
        return await _perform(database, new_unit, service, first_reader)
    async with _lock_of(subject_id):
        return await _perform(database, new_unit, service, first_reader)


def _lock_of(subject_id: int) -> asyncio.Lock:
    locks = _running.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    return locks.setdefault(subject_id, asyncio.Lock())


async def _perform(
    database: Database,
    new_unit: Callable[[Reader], UnitOfWork],
    service: Callable[[UnitOfWork], Awaitable[T]],
    first_reader: Reader | None,
) -> tuple[UnitOfWork, T]:
    reader = first_reader or database
    for _ in range(MAX_TRIES):
        unit = new_unit(reader)
        result = await service(unit)
        try:
            if len(unit.writes):
                await database.apply(unit.writes)
            return unit, result
        except LostRace:
            reader = database
            await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE_SECONDS))  # noqa: S311 - jitter
    raise DatabaseUnavailable("too many others change the same data")
