"""Applies a partner's final outcome of an outbox message, in the transaction that settles it.

Accepted: the order or region move is confirmed. Rejected: it is undone here (compensation) and the
citizen gets a notice.
"""

from core import audit
from core.applications import applications
from core.audit import Action
from core.cards import cards, holders
from core.citizens import Notice, lock
from core.citizens import get as get_citizen
from core.kernel.confirmation import Confirmation
from core.messaging import notices, outbox
from core.messaging.outbox import MessageKind, OutboxMessage
from core.production import NodeResult, NodeState, ProductionNode, orders
from core.unit_of_work import UnitOfWork

NOT_ACCEPTED = "制卡中心未受理本次制卡，申请已关闭。请重新申请，或拨打 028-12333。"


async def confirm(unit: UnitOfWork, message: OutboxMessage) -> None:
    """The partner accepted it, now or in an earlier attempt."""
    if not await outbox.settle(unit.db, message, unit.now):
        return
    if message.kind is MessageKind.REGION_MOVE:
        await _confirm_move(unit, message)
    elif message.kind is MessageKind.ISSUER_ORDER:
        await _confirm_order(unit, message)


async def compensate(unit: UnitOfWork, message: OutboxMessage, code: str) -> None:
    """The partner rejected it, or an operator gave it up; `code` is the reason."""
    if not await outbox.settle(unit.db, message, unit.now, f"refused: {code}"):
        return
    if message.kind is MessageKind.REGION_MOVE:
        await _undo_move(unit, message, code)
    elif message.kind is MessageKind.ISSUER_ORDER:
        await _undo_order(unit, message, code)


async def _confirm_move(unit: UnitOfWork, message: OutboxMessage) -> None:
    await lock(unit.db, message.subject_id)
    await cards.confirm(unit.db, message.payload["cardId"])
    citizen = await get_citizen(unit.db, unit.dependencies.vault, message.subject_id)
    await notices.send(unit, citizen, Notice.TRANSFERRED_IN)


async def _undo_move(unit: UnitOfWork, message: OutboxMessage, code: str) -> None:
    """Removes the card: its home region has not moved."""
    card_id = message.payload["cardId"]
    holder = await holders.lock(unit.db, unit.dependencies.vault, unit.now, message.subject_id)
    if not await cards.remove_unconfirmed(unit.db, card_id):
        return
    await audit.record(
        unit, message.subject_id, Action.TRANSFER_REFUSED, code, actor=audit.WORKER, card=card_id
    )
    await notices.send(unit, holder.citizen, Notice.TRANSFER_REFUSED)


async def _confirm_order(unit: UnitOfWork, message: OutboxMessage) -> None:
    await lock(unit.db, message.subject_id)
    order = await orders.find_order(
        unit.db, unit.dependencies.vault, message.payload["orderNumber"]
    )
    assert order is not None
    await orders.set_confirmation(unit.db, order.id, Confirmation.CONFIRMED)
    unit.progress_of.add(message.subject_id)


async def _undo_order(unit: UnitOfWork, message: OutboxMessage, code: str) -> None:
    """Closes the application, so that the citizen can apply again or cancel the loss."""
    holder = await holders.lock(unit.db, unit.dependencies.vault, unit.now, message.subject_id)
    order = await orders.find_order(
        unit.db, unit.dependencies.vault, message.payload["orderNumber"]
    )
    assert order is not None
    if order.confirmation is not Confirmation.BEING_CONFIRMED:
        return
    await orders.set_confirmation(unit.db, order.id, Confirmation.REJECTED)
    intake = NodeState(ProductionNode.INTAKE, NodeResult.FAILED, unit.now, NOT_ACCEPTED)
    await orders.set_nodes(unit.db, [(order, [intake])])
    await applications.close(unit.db, message.subject_id, unit.now)
    await audit.record(
        unit,
        message.subject_id,
        Action.ORDER_REFUSED,
        code,
        actor=audit.WORKER,
        application=order.application.id,
    )
    await notices.send(unit, holder.citizen, Notice.ORDER_REFUSED)
    unit.progress_of.add(message.subject_id)
