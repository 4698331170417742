"""Runs a service for a caller.

`run` is for services that change data: a preparation, then a unit of work. A refusal discards what it
collected, unless the refusal `commits`. `read` is for services that only read; access to personal
data is recorded in the access log.
"""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, TypeVar, get_type_hints, overload

import msgspec

from core import audit
from core.audit import DONE, Action
from core.crypto import Vault
from core.db import CommitUnknown, DatabaseUnavailable, Reader, Writes
from core.kernel.next_steps import NextStep
from core.kernel.refusals import BY_CODE, OutcomeUnknown, Refusal, RefusalCode, TryAgainLater
from core.kernel.texts import Text
from core.unit_of_work import Preparation, UnitOfWork, idempotency, perform
from gateway.resolvers.context import Context

C = TypeVar("C")
E = TypeVar("E")
T = TypeVar("T")


@overload
async def run(
    context: Context,
    service: Callable[[UnitOfWork, C], Awaitable[T]],
    command: C,
    *,
    action: Action | None,
) -> T: ...


@overload
async def run(
    context: Context,
    service: Callable[[UnitOfWork, C, E], Awaitable[T]],
    command: C,
    *,
    action: Action | None,
    first: Callable[[Preparation, C], Awaitable[E]],
) -> T: ...


async def run(
    context: Context,
    service: Callable[..., Awaitable[Any]],
    command: Any,
    *,
    action: Action | None,
    first: Callable[[Preparation, Any], Awaitable[Any]] | None = None,
) -> Any:
    """Runs `service` in a unit of work and commits it.

    `first` runs before it, once (partner calls, password hashing); the service gets its result.
    `action` names a refusal that commits in the audit log; None for services without one.
    """
    if first is None:
        arguments = [command]
    else:
        repeated = await _repeated(context, context.application.database, service)
        if repeated is not None:
            return _result_of(repeated)
        arguments = [command, await first(_preparation(context), command)]
    now, caller = context.now(), context.caller

    def new_unit(reader: Reader) -> UnitOfWork:
        return UnitOfWork(reader, now, caller, context.dependencies)

    async def work(unit: UnitOfWork) -> _Outcome:
        return await _once(context, unit, service, arguments, action)

    try:
        unit, outcome = await perform(
            context.application.database,
            new_unit,
            work,
            subject_id=0 if caller is None else caller.subject_id,
            first_reader=context.reader,
        )
    except CommitUnknown as error:
        raise OutcomeUnknown(retry_after=5) from error
    except DatabaseUnavailable as error:
        raise TryAgainLater(retry_after=5) from error
    _dispatch(context, unit)
    await _deliver_held(context, unit)
    return _result_of(outcome)


async def read(
    context: Context,
    service: Callable[[Preparation, C], Awaitable[T]],
    command: C,
    *,
    action: Action | None,
) -> T:
    """`action` is recorded in the access log, with the result or the refusal; None: nothing."""
    preparation = _preparation(context)
    try:
        found = await service(preparation, command)
    except DatabaseUnavailable as error:
        raise TryAgainLater(retry_after=5) from error
    except Refusal as refusal:
        record_access(context, action, refusal.code.value)
        raise
    if action is not None and preparation.caller is not None:
        context.application.access_log.record(preparation.caller, preparation.now, action)
    return found


def record_access(context: Context, action: Action | None, result: str = DONE) -> None:
    """Records what the caller is about to see in the access log."""
    if action is not None and context.caller is not None:
        context.application.access_log.record(context.caller, context.now(), action, result)


_Outcome = tuple[Any, Refusal | None]


def _result_of(outcome: _Outcome) -> Any:
    result, refusal = outcome
    if refusal is not None:
        raise refusal
    return result


def _preparation(context: Context) -> Preparation:
    application = context.application
    reader = context.reader or application.database
    return Preparation(reader, context.now(), context.caller, application.dependencies)


def _dispatch(context: Context, unit: UnitOfWork) -> None:
    for subject_id in unit.outbox_of:
        context.application.worker.wake(subject_id)
    for citizen_id in unit.progress_of:
        context.application.live.publish(citizen_id)


async def _deliver_held(context: Context, unit: UnitOfWork) -> None:
    """Raises the refusal of a message that the partner rejected: it was withdrawn, and so is the
    outcome that a repeated request would get."""
    for message, refusal in unit.held:
        if await context.application.worker.deliver_held(message):
            await _forget_outcome(context)
            raise refusal


async def _forget_outcome(context: Context) -> None:
    key, caller = context.idempotency, context.caller
    if key is not None and caller is not None:
        writes = Writes()
        idempotency.forget_outcome(writes, key, caller)
        await context.application.database.apply(writes)


async def _once(
    context: Context,
    unit: UnitOfWork,
    service: Callable[..., Awaitable[Any]],
    arguments: list[Any],
    action: Action | None,
) -> _Outcome:
    """The outcome of the service. With an idempotency key, a repeated request gets the first one."""
    key, caller, vault = context.idempotency, context.caller, unit.dependencies.vault
    if key is None or caller is None:
        return await _attempt(unit, service, arguments, action)
    stored = await _repeated(context, unit.db, service)
    if stored is not None:
        return stored
    outcome = await _attempt(unit, service, arguments, action)
    idempotency.store_outcome(unit.writes, vault, key, caller, _encode(outcome), unit.now)
    return outcome


async def _attempt(
    unit: UnitOfWork,
    service: Callable[..., Awaitable[Any]],
    arguments: list[Any],
    action: Action | None,
) -> _Outcome:
    try:
        return await service(unit, *arguments), None
    except Refusal as refusal:
        if not refusal.commits:
            raise
        await _record_refused(unit, action, refusal)
        return None, refusal


async def _record_refused(unit: UnitOfWork, action: Action | None, refusal: Refusal) -> None:
    """A refusal that commits (a counted attempt) is a change and has its own audit entry."""
    caller = unit.caller
    if caller is None:
        return
    assert action is not None, "a service whose refusals commit is run with its action"
    await audit.record(unit, caller.subject_id, action, refusal.code.value)


async def _repeated(
    context: Context, db: Reader, service: Callable[..., Awaitable[Any]]
) -> _Outcome | None:
    """The stored outcome of a repeated request."""
    key, caller, vault = context.idempotency, context.caller, context.dependencies.vault
    if key is None or caller is None:
        return None
    stored = await idempotency.find_outcome(db, vault, key, caller, context.now())
    return None if stored is None else _decode(stored, service, vault)


class _StoredRefusal(msgspec.Struct):
    code: str
    field: str | None
    retry_after: int | None
    facts: dict[str, str | int | dict[str, str]]
    next_step: NextStep | None


class _Stored(msgspec.Struct):
    result: msgspec.Raw
    refusal: _StoredRefusal | None = None


def _encode(outcome: _Outcome) -> bytes:
    result, refusal = outcome
    stored = _Stored(msgspec.Raw(msgspec.json.encode(result, enc_hook=_without_vault)))
    if refusal is not None:
        facts = {
            name: {"zh": fact.zh, "en": fact.en} if isinstance(fact, Text) else fact
            for name, fact in refusal.facts.items()
        }
        stored.refusal = _StoredRefusal(
            refusal.code.value, refusal.field, refusal.retry_after, facts, refusal.next_step
        )
    return msgspec.json.encode(stored)


def _decode(data: bytes, service: Callable[..., Awaitable[Any]], vault: Vault) -> _Outcome:
    stored = msgspec.json.decode(data, type=_Stored)
    if stored.refusal is not None:
        return None, _refusal_from(stored.refusal)

    def with_vault(kind: type, _: object) -> object:
        assert kind is Vault
        return vault

    return msgspec.json.decode(stored.result, type=_result_type(service), dec_hook=with_vault), None


def _refusal_from(stored: _StoredRefusal) -> Refusal:
    facts = {
        name: Text(fact["zh"], fact["en"]) if isinstance(fact, dict) else fact
        for name, fact in stored.facts.items()
    }
    refusal = BY_CODE[RefusalCode(stored.code)]
    return refusal(field=stored.field, retry_after=stored.retry_after, **facts).with_next_step(
        stored.next_step
    )


@cache
def _result_type(service: Callable[..., Awaitable[Any]]) -> Any:
    return get_type_hints(service)["return"]


def _without_vault(value: object) -> object:
    assert isinstance(value, Vault), "a service's result holds plain values only"
    return None
