"""Reminds of cards that wait for collection: some days after they are ready, and again before the
outlet returns them.

Whether a card has been handed out is not known here, only that it is not activated. A reminder comes
at the time of day at which the card was ready, so that nobody is woken by it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import BigInteger, and_, bindparam, select, text

from core.applications import applications_table
from core.cards import CardState, cards_table
from core.citizens import Notice
from core.db import Query, Row
from core.jobs.schedule import JobContext
from core.kernel.clock import DAY
from core.kernel.settings import Settings
from core.messaging import notices, notices_table
from core.production import collection, production_nodes_table, production_orders_table
from core.unit_of_work import UnitOfWork, perform

_AT_ONCE = 200
_LATEST = 7 * DAY
"""How late a reminder may come where outlets return no cards."""

_ready = production_nodes_table.alias("ready")
_reminded = (
    select(notices_table.c.id)
    .where(
        notices_table.c.subject_id == _ready.c.subject_id,
        notices_table.c.notice == Notice.CARD_WAITING.value,
        notices_table.c.at >= _ready.c.at + bindparam("after", type_=BigInteger),
    )
    .exists()
)
_WAITING = Query(
    select(
        _ready.c.subject_id, _ready.c.at, production_orders_table.c.outlet_code, cards_table.c.id
    )
    .select_from(
        _ready.join(
            production_orders_table,
            and_(
                production_orders_table.c.subject_id == _ready.c.subject_id,
                production_orders_table.c.id == _ready.c.order_id,
            ),
        )
        .join(
            applications_table,
            and_(
                applications_table.c.subject_id == production_orders_table.c.subject_id,
                applications_table.c.id == production_orders_table.c.application_id,
            ),
        )
        .join(
            cards_table,
            and_(
                cards_table.c.subject_id == applications_table.c.subject_id,
                cards_table.c.id == applications_table.c.new_card_id,
            ),
        )
    )
    .where(
        # Literally as in the partial index `ix_production_nodes_ready`, otherwise SQLite ignores it.
        text("ready.node = 6 AND ready.result = 'DONE'"),
        _ready.c.at > bindparam("since"),
        _ready.c.at <= bindparam("until"),
        cards_table.c.state == CardState.SEALED.value,
        ~_reminded,
    )
    .order_by(_ready.c.at)
    .limit(_AT_ONCE)
)


@dataclass(frozen=True, slots=True)
class _Reminder:
    """Due from `after` until `before`, in milliseconds since the card was ready."""

    after: int
    before: int


def _reminders(settings: Settings) -> Iterator[_Reminder]:
    first = settings.collection_reminder_days * DAY
    returned = settings.collect_within_days * DAY
    again = returned - settings.return_reminder_days * DAY
    has_second = returned > 0 and settings.return_reminder_days > 0 and again > 0
    if has_second:
        yield _Reminder(again, returned)
    if first:
        end = again if has_second else first + _LATEST
        yield _Reminder(first, min(end, returned or end))


async def remind_of_collection(context: JobContext) -> int:
    """Returns how many citizens were reminded."""
    reminded = 0
    for reminder in _reminders(context.dependencies.settings):
        while rows := await context.database.fetch(
            _WAITING,
            after=reminder.after,
            since=context.now - reminder.before,
            until=context.now - reminder.after,
        ):
            found = 0
            for row in rows:
                found += await _remind(context, row)
            reminded += found
            if not found:
                break
    return reminded


async def _remind(context: JobContext, row: Row) -> bool:
    citizen_id: int = row["subject_id"]

    async def work(unit: UnitOfWork) -> bool:
        holder = await unit.holder(citizen_id)
        sealed = holder.in_state(CardState.SEALED)
        if sealed is None or sealed.id != row["id"]:
            return False
        settings = unit.dependencies.settings
        where = collection.where_and_until(
            unit.dependencies.reference,
            row["outlet_code"],
            row["at"],
            settings.collect_within_days,
        )
        await notices.send(unit, holder.citizen, Notice.CARD_WAITING, details=where)
        await unit.touch(citizen_id)
        return True

    unit, is_told = await perform(context.database, context.new_unit, work, subject_id=citizen_id)
    context.outbox_of.update(unit.outbox_of)
    return is_told
