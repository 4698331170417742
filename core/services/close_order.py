"""An operator closes an order at a desk, where neither the citizen nor the card issuer can go on."""

from dataclasses import dataclass

from core import audit
from core.applications import applications
from core.audit import Action
from core.cards import Card, CardState, Holder, cards
from core.citizens import Notice
from core.issuer import change_order, deaths
from core.kernel.refusals import ApplicationClosed, NoSuchApplication
from core.messaging import notices
from core.production import CloseReason, Closure, OrderChange, ProductionOrder, Progress, orders
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class CloseOrder:
    """`reason` is one of `REPORTED`; `operator` is who does it."""

    application_number: str
    reason: CloseReason
    operator: str


async def close_order(unit: UnitOfWork, command: CloseOrder) -> Progress:
    """Takes effect at once. The card issuer learns of it, or the card that waits to be collected is cancelled."""
    number = command.application_number
    owner = (await applications.owners_of_numbers(unit.db, [number])).get(number)
    if owner is None:
        raise NoSuchApplication(field="applicationNumber")
    holder = await unit.holder(owner)
    order = await orders.find_order(unit.db, unit.dependencies.vault, owner, number)
    card = _uncollected(holder, order)
    if order is None or order.closure is not None or (order.ready and card is None):
        raise ApplicationClosed
    closure = Closure(command.reason, unit.now)
    await audit.record(
        unit,
        owner,
        Action.APPLICATION_CLOSED,
        command.reason.value,
        actor=audit.OPERATOR,
        application=order.application.id,
        operator=command.operator,
    )
    if card is not None:
        cards.save_state(unit.writes, card.cancel(unit.now))
    orders.change(unit.writes, unit.dependencies.vault, order, closure=closure)
    applications.close(unit.writes, owner, unit.now)
    if not order.ready:
        change_order.tell(unit, order, OrderChange.CANCELLATION)
    if command.reason is CloseReason.DECEASED:
        await deaths.record(unit, holder.citizen, [], actor=audit.OPERATOR)
    else:
        await notices.send(unit, holder.citizen, Notice.APPLICATION_CLOSED)
    unit.progress_of.add(owner)
    return Progress(holder.citizen, order)


def _uncollected(holder: Holder, order: ProductionOrder | None) -> Card | None:
    """The card that was made for the order, if it was never activated."""
    if order is None or order.application.new_card_id is None:
        return None
    made = order.application.new_card_id
    return next(
        (
            card
            for card in holder.cards
            if card.id == made and card.state_unless_lost is CardState.SEALED
        ),
        None,
    )
