"""Applies a partner's final outcome of an outbox message, in the unit of work that settles it.

Accepted: the order, its change or the region move is confirmed. Rejected: it is undone here
(compensation) and the citizen gets a notice; a verification code is withdrawn, and does not count.
"""

from core import audit
from core.applications import applications
from core.audit import Action
from core.cards import cards
from core.citizens import Notice
from core.kernel.confirmation import Confirmation
from core.messaging import notices, outbox, verification
from core.messaging.outbox import MessageKind, OutboxMessage
from core.production import (
    CloseReason,
    Closure,
    NodeResult,
    NodeState,
    OrderChange,
    ProductionNode,
    ProductionOrder,
    orders,
)
from core.unit_of_work import UnitOfWork

NOT_ACCEPTED = "制卡中心未受理本次制卡"


async def confirm(unit: UnitOfWork, message: OutboxMessage) -> None:
    """The partner accepted it, now or in an earlier attempt."""
    if not await outbox.settle(unit, message):
        return
    if message.kind is MessageKind.REGION_MOVE:
        await _confirm_move(unit, message)
    elif message.kind is MessageKind.ISSUER_ORDER and "change" in message.payload:
        await _confirm_change(unit, message, OrderChange(message.payload["change"]))
    elif message.kind is MessageKind.ISSUER_ORDER:
        await _confirm_order(unit, message)


async def compensate(unit: UnitOfWork, message: OutboxMessage, code: str) -> None:
    """The partner rejected it, or an operator gave it up; `code` is the reason."""
    if not await outbox.settle(unit, message, f"refused: {code}"):
        return
    if message.kind is MessageKind.REGION_MOVE:
        await _undo_move(unit, message, code)
    elif message.kind is MessageKind.ISSUER_ORDER and "change" in message.payload:
        await _undo_change(unit, message, OrderChange(message.payload["change"]), code)
    elif message.kind is MessageKind.ISSUER_ORDER:
        await _undo_order(unit, message, code)
    elif message.kind is MessageKind.SMS_CODE:
        await verification.withdraw(unit, message)


async def _confirm_move(unit: UnitOfWork, message: OutboxMessage) -> None:
    citizen = await unit.citizen(message.subject_id)
    cards.confirm(unit.writes, citizen.id, message.payload["cardId"])
    await unit.touch(citizen.id)
    await notices.send(unit, citizen, Notice.TRANSFERRED_IN)


async def _undo_move(unit: UnitOfWork, message: OutboxMessage, code: str) -> None:
    """Removes the card: its home region has not moved."""
    card_id = message.payload["cardId"]
    holder = await unit.holder(message.subject_id)
    card = next((card for card in holder.cards if card.id == card_id), None)
    if card is None or card.confirmation is not Confirmation.BEING_CONFIRMED:
        return
    cards.remove(unit.writes, unit.dependencies.vault, card)
    await audit.record(
        unit, message.subject_id, Action.TRANSFER_REFUSED, code, actor=audit.WORKER, card=card_id
    )
    await notices.send(unit, holder.citizen, Notice.TRANSFER_REFUSED)


async def _confirm_order(unit: UnitOfWork, message: OutboxMessage) -> None:
    await unit.head(message.subject_id)
    order = await _order_of(unit, message)
    if order.confirmation is Confirmation.BEING_CONFIRMED:
        vault = unit.dependencies.vault
        orders.change(unit.writes, vault, order, confirmation=Confirmation.CONFIRMED)
        await unit.touch(message.subject_id)
    unit.progress_of.add(message.subject_id)


async def _undo_order(unit: UnitOfWork, message: OutboxMessage, code: str) -> None:
    """Closes the application, so that the citizen can apply again or cancel the loss."""
    citizen = await unit.citizen(message.subject_id)
    order = await _order_of(unit, message)
    if order.confirmation is not Confirmation.BEING_CONFIRMED or order.closure is not None:
        return
    vault = unit.dependencies.vault
    closure = Closure(CloseReason.NOT_ACCEPTED, unit.now)
    orders.change(unit.writes, vault, order, confirmation=Confirmation.REJECTED, closure=closure)
    intake = NodeState(ProductionNode.INTAKE, NodeResult.FAILED, unit.now, NOT_ACCEPTED)
    orders.set_nodes(unit.writes, order, [intake])
    applications.close(unit.writes, citizen.id, unit.now)
    await audit.record(
        unit,
        citizen.id,
        Action.ORDER_REFUSED,
        code,
        actor=audit.WORKER,
        application=order.application.id,
    )
    await notices.send(unit, citizen, Notice.ORDER_REFUSED)
    unit.progress_of.add(citizen.id)


async def _confirm_change(unit: UnitOfWork, message: OutboxMessage, change: OrderChange) -> None:
    citizen = await unit.citizen(message.subject_id)
    order = await _order_of(unit, message)
    if order.pending_change is not change:
        return
    vault = unit.dependencies.vault
    if change is OrderChange.CANCELLATION and not order.ready:
        closure = Closure(CloseReason.WITHDRAWN, unit.now)
        orders.change(unit.writes, vault, order, closure=closure)
        applications.close(unit.writes, citizen.id, unit.now)
        await _record(unit, order, Action.APPLICATION_CLOSED, closure.reason.value)
        await notices.send(unit, citizen, Notice.APPLICATION_CLOSED)
    elif change is OrderChange.PICKUP_OUTLET:
        orders.change(
            unit.writes, vault, order, outlet_code=message.payload["outletCode"], is_settled=True
        )
        await unit.touch(citizen.id)
        await notices.send(unit, citizen, Notice.OUTLET_CHANGED)
    else:
        orders.change(unit.writes, vault, order, is_settled=True)
        _resume(unit, order, message.payload.get("node"))
        await unit.touch(citizen.id)
    unit.progress_of.add(citizen.id)


def _resume(unit: UnitOfWork, order: ProductionOrder, node: str | None) -> None:
    """The node is in progress again, from later on than when the correction was asked for."""
    asked = order.current
    if asked is None or asked.node != node or asked.result is not NodeResult.NEEDS_CORRECTION:
        return
    at = max(unit.now, (asked.at or 0) + 1)
    resumed = NodeState(asked.node, NodeResult.IN_PROGRESS, at, None)
    orders.set_nodes(unit.writes, order, [resumed])


async def _undo_change(
    unit: UnitOfWork, message: OutboxMessage, change: OrderChange, code: str
) -> None:
    """The order stays as it was."""
    citizen = await unit.citizen(message.subject_id)
    order = await _order_of(unit, message)
    if order.pending_change is not change:
        return
    orders.change(unit.writes, unit.dependencies.vault, order, is_settled=True)
    await _record(unit, order, Action.CHANGE_REFUSED, code)
    await notices.send(unit, citizen, Notice.CHANGE_REFUSED)
    unit.progress_of.add(citizen.id)


async def _record(unit: UnitOfWork, order: ProductionOrder, action: Action, result: str) -> None:
    await audit.record(
        unit,
        order.citizen_id,
        action,
        result,
        actor=audit.WORKER,
        application=order.application.id,
    )


async def _order_of(unit: UnitOfWork, message: OutboxMessage) -> ProductionOrder:
    order = await orders.find_order(
        unit.db, unit.dependencies.vault, message.subject_id, message.payload["orderNumber"]
    )
    assert order is not None
    return order
