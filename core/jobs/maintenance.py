"""The scheduled jobs: what lapses by itself, and what is kept for a time only.

Rows are removed some hundreds at a time, so that no job holds the writer for long. The audit
log is never removed. Logs go to the standard output: how long they are kept (six months at
least) is up to whoever collects them.
"""

import contextlib
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, bindparam, delete, or_, select

from core import audit
from core.applications import drafts, prefills
from core.audit import Action
from core.cards import cards, holders
from core.citizens import Notice, code_exchanges, nonces, quotas_table, sessions_table
from core.db import Query, Transaction
from core.issuer import Outcome, issuer_events_table
from core.jobs import garbage_collection
from core.jobs.schedule import JobContext, ScheduledJob
from core.kernel.clock import DAY, HOUR, MINUTE, Instant
from core.messaging import (
    MESSAGES,
    channel_messages_table,
    notices,
    outbox_table,
    verification_codes_table,
)
from core.storage import ObjectsUnavailable
from core.unit_of_work import UnitOfWork, idempotency

_AT_ONCE = 500
_CODES_KEPT = DAY
_COUNTERS_KEPT = 2 * DAY
"""Longer than the longest window of a limit."""


async def lapse_losses(context: JobContext) -> int:
    """Temporary losses whose seven days are over: written, noted in the audit log, and told.

    Every reader sees the lapse in time even before; see `Card.lapsed`.
    """
    lapsed = 0
    for card_id, citizen_id in await cards.find_expired_losses(context.database, context.now):

        async def job(db: Transaction, card_id: int = card_id, owner: int = citizen_id) -> bool:
            return await _expire(
                UnitOfWork(db, context.now, None, context.dependencies), card_id, owner
            )

        lapsed += await context.database.write(job)
    return lapsed


async def _expire(unit: UnitOfWork, card_id: int, citizen_id: int) -> bool:
    holder = await holders.lock(unit.db, unit.dependencies.vault, unit.now, citizen_id)
    card = next((card for card in holder.cards if card.id == card_id), None)
    if card is None or card.state is not cards.CardState.ACTIVE:
        return False
    if not await cards.save_expiry(unit.db, card):
        return False
    await audit.record(unit, citizen_id, Action.LOSS_LAPSED, actor=audit.WORKER, card=card_id)
    await notices.send(unit, holder.citizen, Notice.LOSS_LAPSED)
    return True


async def forget_short_lived(context: JobContext) -> int:
    """Nonces, idempotency keys and drafts whose time is over."""

    async def job(db: Transaction) -> None:
        await db.fetch(nonces.FORGET_OLD, before=context.now - nonces.RETENTION)
        await db.fetch(code_exchanges.FORGET_OLD, before=context.now)
        await db.fetch(idempotency.FORGET_OLD, before=context.now - idempotency.KEPT_FOR)
        await db.fetch(drafts.DISCARD_OLD, before=context.now - drafts.RETENTION)
        await db.fetch(prefills.DISCARD_OLD, before=context.now - drafts.RETENTION)

    await context.database.write(job)
    return 0


def removal(table: Table, *conditions: ColumnElement[bool]) -> Query:
    """Removes some hundreds of the rows that meet the conditions; `before` is a moment."""
    key = next(iter(table.primary_key))
    some = select(key).where(*conditions).limit(_AT_ONCE)
    return Query(delete(table).where(key.in_(some)).returning(key))


_before: ColumnElement[int] = bindparam("before")
_CODES = removal(verification_codes_table, verification_codes_table.c.expires_at < _before)
_COUNTERS = removal(quotas_table, quotas_table.c.last_at < _before)
_SETTLED = removal(outbox_table, outbox_table.c.settled_at < _before)
_UNSENT = removal(
    outbox_table,
    outbox_table.c.dead_at < _before,
    outbox_table.c.settled_at.is_(None),
    or_(*(outbox_table.c.kind == kind.value for kind in MESSAGES)),
)
_SESSIONS = removal(sessions_table, sessions_table.c.expires_at < _before)
_EVENTS = removal(
    issuer_events_table,
    issuer_events_table.c.received_at < _before,
    issuer_events_table.c.outcome == Outcome.TAKEN.value,
)
_MESSAGES = removal(channel_messages_table, channel_messages_table.c.sent_at < _before)


async def forget_codes(context: JobContext) -> int:
    """A day after its end a code's refusal need not say "expired" any more."""
    removed = await _remove(context, [_CODES], context.now - _CODES_KEPT)
    return removed + await _remove(context, [_COUNTERS], context.now - _COUNTERS_KEPT)


async def forget_history(context: JobContext) -> int:
    """Settled effects, undeliverable messages, ended sessions: after `retention_days`."""
    before = context.now - context.dependencies.settings.retention_days * DAY
    return await _remove(context, [_SETTLED, _UNSENT, _SESSIONS, _MESSAGES, _EVENTS], before)


async def remove_orphans(context: JobContext) -> int:
    """Uploads and pictures that nobody will ask for again; tried again where the store is away."""
    with contextlib.suppress(ObjectsUnavailable):
        return await garbage_collection.remove(
            context.database, context.dependencies.objects, context.now
        )
    return 0


async def _remove(context: JobContext, queries: Sequence[Query], before: Instant) -> int:
    removed = 0
    for query in queries:

        async def job(db: Transaction, query: Query = query) -> int:
            return len(await db.fetch(query, before=before))

        while count := await context.database.write(job):
            removed += count
            if count < _AT_ONCE:
                break
    return removed


JOBS = (
    ScheduledJob("lapse-losses", MINUTE, lapse_losses),
    ScheduledJob("forget-short-lived", 10 * MINUTE, forget_short_lived),
    ScheduledJob("forget-codes", HOUR, forget_codes),
    ScheduledJob("remove-orphans", HOUR, remove_orphans),
    ScheduledJob("forget-history", 6 * HOUR, forget_history),
)
