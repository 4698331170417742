"""The scheduled jobs: what lapses by itself, and what is kept for a time only.

Rows are removed some hundreds at a time, so that no job holds the writer for long. The audit
log is never removed. Logs go to the standard output: how long they are kept (six months at
least) is up to whoever collects them.
"""

import contextlib
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, bindparam, delete, or_, select

from core import (
    audit,
    cards,
    drafts,
    holders,
    idempotency,
    nonces,
    notices,
    orphans,
    prefills,
    sign_in_answers,
)
from core.audit import Action
from core.channel_messages import channel_messages
from core.clock import DAY, HOUR, MINUTE, Instant
from core.database import Query, Transaction
from core.issuer_log import Outcome, issuer_events
from core.notification_settings import Notice
from core.objects import ObjectsUnavailable
from core.outbox import MESSAGES, outbox
from core.quotas import quotas
from core.schedule import Chore, ScheduledJob
from core.sessions import sessions
from core.unit import Unit
from core.verification import verification_codes

_AT_ONCE = 500
_CODES_KEPT = DAY
_COUNTERS_KEPT = 2 * DAY
"""Longer than the longest window of a limit."""


async def lapse_losses(chore: Chore) -> int:
    """Temporary losses whose seven days are over: written, noted in the audit log, and told.

    Every reader sees the lapse in time even before; see `Card.lapsed`.
    """
    lapsed = 0
    for card_id, citizen_id in await cards.whose_loss_lapsed(chore.database, chore.now):

        async def job(db: Transaction, card_id: int = card_id, owner: int = citizen_id) -> bool:
            return await _lapse(Unit(db, chore.now, None, chore.tools), card_id, owner)

        lapsed += await chore.database.write(job)
    return lapsed


async def _lapse(unit: Unit, card_id: int, citizen_id: int) -> bool:
    holder = await holders.lock(unit.db, unit.tools.vault, unit.now, citizen_id)
    card = next((card for card in holder.cards if card.id == card_id), None)
    if card is None or card.state is not cards.CardState.ACTIVE:
        return False
    if not await cards.save_lapse(unit.db, card):
        return False
    await audit.record(unit, citizen_id, Action.LOSS_LAPSED, nobody=audit.WORKER, card=card_id)
    await notices.send(unit, holder.citizen, Notice.LOSS_LAPSED)
    return True


async def forget_short_lived(chore: Chore) -> int:
    """Nonces, idempotency keys and drafts whose time is over."""

    async def job(db: Transaction) -> None:
        await db.fetch(nonces.FORGET_OLD, before=chore.now - nonces.KEPT_AFTER)
        await db.fetch(sign_in_answers.FORGET_OLD, before=chore.now)
        await db.fetch(idempotency.FORGET_OLD, before=chore.now - idempotency.KEPT_FOR)
        await db.fetch(drafts.DISCARD_OLD, before=chore.now - drafts.KEPT_FOR)
        await db.fetch(prefills.DISCARD_OLD, before=chore.now - drafts.KEPT_FOR)

    await chore.database.write(job)
    return 0


def removal(table: Table, *conditions: ColumnElement[bool]) -> Query:
    """Removes some hundreds of the rows that meet the conditions; `before` is a moment."""
    key = next(iter(table.primary_key))
    some = select(key).where(*conditions).limit(_AT_ONCE)
    return Query(delete(table).where(key.in_(some)).returning(key))


_before: ColumnElement[int] = bindparam("before")
_CODES = removal(verification_codes, verification_codes.c.expires_at < _before)
_COUNTERS = removal(quotas, quotas.c.last_at < _before)
_SETTLED = removal(outbox, outbox.c.settled_at < _before)
_UNSENT = removal(
    outbox,
    outbox.c.parked_at < _before,
    outbox.c.settled_at.is_(None),
    or_(*(outbox.c.kind == kind.value for kind in MESSAGES)),
)
_SESSIONS = removal(sessions, sessions.c.expires_at < _before)
_EVENTS = removal(
    issuer_events,
    issuer_events.c.received_at < _before,
    issuer_events.c.outcome == Outcome.TAKEN.value,
)
_MESSAGES = removal(channel_messages, channel_messages.c.sent_at < _before)


async def forget_codes(chore: Chore) -> int:
    """A day after its end a code's refusal need not say "expired" any more."""
    removed = await _remove(chore, [_CODES], chore.now - _CODES_KEPT)
    return removed + await _remove(chore, [_COUNTERS], chore.now - _COUNTERS_KEPT)


async def forget_history(chore: Chore) -> int:
    """Settled effects, undeliverable messages, ended sessions: after `retention_days`."""
    before = chore.now - chore.tools.settings.retention_days * DAY
    return await _remove(chore, [_SETTLED, _UNSENT, _SESSIONS, _MESSAGES, _EVENTS], before)


async def remove_orphans(chore: Chore) -> int:
    """Uploads and pictures that nobody will ask for again; tried again where the store is away."""
    with contextlib.suppress(ObjectsUnavailable):
        return await orphans.remove(chore.database, chore.tools.objects, chore.now)
    return 0


async def _remove(chore: Chore, queries: Sequence[Query], before: Instant) -> int:
    removed = 0
    for query in queries:

        async def job(db: Transaction, query: Query = query) -> int:
            return len(await db.fetch(query, before=before))

        while count := await chore.database.write(job):
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
