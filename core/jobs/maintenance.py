"""The maintenance jobs: expiry of temporary losses, retention, garbage collection.

Rows are deleted in batches of 500, so that no job blocks other writers for long. The audit log is
never deleted. Application logs go to standard output; their retention (at least six months) is up to
the log collector.
"""

import contextlib
from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement, Table, bindparam, delete, or_, select, tuple_, update

from core import audit
from core.applications import drafts, prefills
from core.audit import Action
from core.cards import cards, elsewhere
from core.citizens import (
    ClaimKind,
    Notice,
    claims,
    code_exchanges,
    nonces,
    quotas_table,
    sessions_table,
)
from core.db import Query, Row, Transaction
from core.issuer import Outcome, issuer_events_table
from core.jobs import garbage_collection
from core.jobs.schedule import JobContext, ScheduledJob
from core.kernel.clock import CLOCK_SKEW, DAY, HOUR, MINUTE, Instant
from core.messaging import (
    MESSAGES,
    channel_messages,
    channel_messages_table,
    notices,
    outbox_table,
    verification,
    verification_codes_table,
)
from core.storage import ObjectsUnavailable
from core.unit_of_work import UnitOfWork, idempotency, perform

_AT_ONCE = 500
_CODE_ENDS_AFTER = 10 * MINUTE
"""Long enough to say that a code has expired."""
_CODE_RETENTION = verification.TRIES_WINDOW + _CODE_ENDS_AFTER
"""Long enough to count wrong attempts."""
_COUNTER_RETENTION = 2 * DAY
"""Longer than the longest window of a rate limit."""


async def expire_losses(context: JobContext) -> int:
    """Writes the expiry of temporary losses, with an audit record and a notice.

    Readers see a loss as expired on time even before this runs; see `CardSummary.as_of`.
    """
    expired = 0
    for card_id, citizen_id in await cards.find_expired_losses(context.database, context.now):

        async def work(unit: UnitOfWork, card_id: int = card_id, owner: int = citizen_id) -> bool:
            return await _expire(unit, card_id, owner)

        unit, is_expired = await perform(
            context.database, context.new_unit, work, subject_id=citizen_id
        )
        context.outbox_of.update(unit.outbox_of)
        expired += is_expired
    return expired


async def _expire(unit: UnitOfWork, card_id: int, citizen_id: int) -> bool:
    citizen = await unit.citizen(citizen_id)
    stored = await cards.of_citizens(unit.db, unit.dependencies.vault, [citizen_id])
    card = next((card for card in stored.get(citizen_id, ()) if card.id == card_id), None)
    if card is None or card.as_of(unit.now) is card:
        return False
    cards.save_expiry(unit.writes, card.as_of(unit.now))
    await audit.record(unit, citizen_id, Action.LOSS_LAPSED, actor=audit.WORKER, card=card_id)
    await notices.send(unit, citizen, Notice.LOSS_LAPSED)
    return True


async def delete_expired_rows(context: JobContext) -> int:
    """Deletes expired nonces, code exchanges, idempotency keys, drafts, prefills and
    answers of the card registry."""

    async def job(db: Transaction) -> None:
        await db.fetch(nonces.FORGET_OLD, before=context.now - nonces.RETENTION)
        await db.fetch(code_exchanges.FORGET_OLD, before=context.now)
        await db.fetch(idempotency.DELETE_OLD, before=context.now - idempotency.RETENTION)
        await db.fetch(drafts.DISCARD_OLD, before=context.now - drafts.RETENTION)
        await db.fetch(elsewhere.DELETE_OLD, before=context.now - elsewhere.RETENTION)
        await db.fetch(prefills.DISCARD_OLD, before=context.now - drafts.RETENTION)

    await context.database.write(job)
    return 0


def removal(table: Table, *conditions: ColumnElement[bool]) -> Query:
    """Deletes up to `_AT_ONCE` rows that meet the conditions, by their whole keys: the first column
    alone would delete all rows of a person. The parameter `before` is an instant."""
    key = tuple(table.primary_key)
    some = select(*key).where(*conditions).limit(_AT_ONCE)
    return Query(delete(table).where(tuple_(*key).in_(some), *conditions).returning(table))


_before: ColumnElement[int] = bindparam("before")
_END_CODES = Query(
    update(verification_codes_table)
    .where(
        tuple_(verification_codes_table.c.subject_id, verification_codes_table.c.id).in_(
            select(verification_codes_table.c.subject_id, verification_codes_table.c.id)
            .where(
                verification_codes_table.c.consumed_at.is_(None),
                verification_codes_table.c.expires_at < _before,
            )
            .limit(_AT_ONCE)
        )
    )
    .values(consumed_at=verification_codes_table.c.expires_at)
    .returning(verification_codes_table.c.id)
)
_CODES = removal(verification_codes_table, verification_codes_table.c.expires_at < _before)
_COUNTERS = removal(quotas_table, quotas_table.c.last_at < _before)
_SETTLED_MESSAGES = removal(outbox_table, outbox_table.c.settled_at < _before)
_DEAD_MESSAGES = removal(
    outbox_table,
    outbox_table.c.dead_at < _before,
    outbox_table.c.settled_at.is_(None),
    or_(*(outbox_table.c.kind == kind.value for kind in MESSAGES)),
)
_END_SESSIONS = Query(
    update(sessions_table)
    .where(
        tuple_(sessions_table.c.subject_id, sessions_table.c.id).in_(
            select(sessions_table.c.subject_id, sessions_table.c.id)
            .where(sessions_table.c.ended_at.is_(None), sessions_table.c.expires_at < _before)
            .limit(_AT_ONCE)
        )
    )
    .values(ended_at=sessions_table.c.expires_at)
    .returning(sessions_table.c.id)
)
_SESSIONS = removal(sessions_table, sessions_table.c.expires_at < _before)
_EVENTS = removal(
    issuer_events_table,
    issuer_events_table.c.received_at < _before,
    issuer_events_table.c.outcome == Outcome.TAKEN.value,
)
_MESSAGES = removal(channel_messages_table, channel_messages_table.c.sent_at < _before)


async def delete_codes(context: JobContext) -> int:
    """Marks expired codes as over, so that none revives with a clock set back, and deletes them later."""
    ended = await _remove(context, [_END_CODES], context.now - _CODE_ENDS_AFTER)
    return ended + await _remove(context, [_CODES], context.now - _CODE_RETENTION)


async def end_sessions(context: JobContext) -> int:
    """Marks expired sessions as ended, so that none revives with a clock set back."""
    return await _remove(context, [_END_SESSIONS], context.now - CLOCK_SKEW)


async def delete_counters(context: JobContext) -> int:
    """Deletes unused rate limit counters."""
    return await _remove(context, [_COUNTERS], context.now - _COUNTER_RETENTION)


async def delete_history(context: JobContext) -> int:
    """Deletes settled and dead messages, ended sessions and applied events after `retention_days`."""
    before = context.now - context.dependencies.settings.retention_days * DAY
    removed = await _remove(context, [_SETTLED_MESSAGES, _DEAD_MESSAGES, _SESSIONS], before)
    removed += await _remove(
        context,
        [_MESSAGES],
        before,
        claimed=lambda row: (
            ClaimKind.CHANNEL_MESSAGE,
            channel_messages.claim_key(row["channel"], row["number"]),
        ),
    )
    return removed + await _remove(
        context,
        [_EVENTS],
        before,
        claimed=lambda row: (ClaimKind.ISSUER_EVENT, claims.text_key(row["id"])),
    )


async def collect_garbage(context: JobContext) -> int:
    """Deletes uploads and pictures that are no longer needed; skipped while the store is unavailable."""
    with contextlib.suppress(ObjectsUnavailable):
        return await garbage_collection.remove(
            context.database, context.dependencies.objects, context.now
        )
    return 0


async def _remove(
    context: JobContext,
    queries: Sequence[Query],
    before: Instant,
    claimed: Callable[[Row], tuple[ClaimKind, bytes]] | None = None,
) -> int:
    """`claimed` is the claim that a row stands for, which goes with it."""
    removed = 0
    for query in queries:

        async def job(db: Transaction, query: Query = query) -> int:
            rows = await db.fetch(query, before=before)
            if claimed is not None:
                await claims.drop_many(db, [(row["subject_id"], *claimed(row)) for row in rows])
            return len(rows)

        while count := await context.database.write(job):
            removed += count
            if count < _AT_ONCE:
                break
    return removed


JOBS = (
    ScheduledJob("expire-losses", MINUTE, expire_losses),
    ScheduledJob("delete-expired-rows", 10 * MINUTE, delete_expired_rows),
    ScheduledJob("end-sessions", MINUTE, end_sessions),
    ScheduledJob("delete-codes", MINUTE, delete_codes),
    ScheduledJob("delete-counters", HOUR, delete_counters),
    ScheduledJob("collect-garbage", HOUR, collect_garbage),
    ScheduledJob("delete-history", 6 * HOUR, delete_history),
)
