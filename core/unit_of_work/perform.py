"""Runs a service in a unit of work, and commits it. The only place where units are committed."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from core.db import Database, DatabaseUnavailable, LostRace, Reader
from core.unit_of_work.unit import UnitOfWork

MAX_TRIES = 12
_LONGEST_PAUSE_SECONDS = 0.05

T = TypeVar("T")

_Of: TypeAlias = tuple[asyncio.AbstractEventLoop, int]

_waiting: dict[_Of, deque[asyncio.Future[bool]]] = {}
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
    of = _of(subject_id)
    if of in _waiting:
        await _turn(of)
    else:
        _waiting[of] = deque()
    try:
        return await _perform(database, new_unit, service, first_reader)
    except DatabaseUnavailable as error:
        if not isinstance(error, _Contended):
            _refuse_waiting(of)
        raise
    finally:
        _pass_on(of)


class _Contended(DatabaseUnavailable):
    """The database answers, but others were faster every time."""


def _of(subject_id: int) -> _Of:
    return asyncio.get_running_loop(), subject_id


async def _turn(of: _Of) -> None:
    turn = of[0].create_future()
    _waiting[of].append(turn)
    try:
        is_granted = await turn
    except asyncio.CancelledError:
        if not turn.cancelled() and turn.result():
            _pass_on(of)
        raise
    if not is_granted:
        raise DatabaseUnavailable("no answer to the one before")


def _refuse_waiting(of: _Of) -> None:
    """The database did not answer in time: else each would wait as long, one after the other."""
    while _waiting[of]:
        turn = _waiting[of].popleft()
        if not turn.done():
            turn.set_result(False)


def _pass_on(of: _Of) -> None:
    waiting = _waiting[of]
    while waiting:
        turn = waiting.popleft()
        if not turn.done():
            turn.set_result(True)
            return
    del _waiting[of]


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
    raise _Contended("too many others change the same data")
