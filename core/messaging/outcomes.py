"""What follows here from a partner's final word about an effect, in one transaction with it.

Taken: an order or a move is confirmed. Refused for good: it is undone here and the citizen
is told, because what was promised will not happen.
"""

from core import audit
from core.applications import applications
from core.audit import Action
from core.cards import cards, holders
from core.citizens import Notice, lock
from core.citizens import find as find_citizen
from core.kernel.confirmation import Confirmation
from core.messaging import notices, outbox
from core.messaging.outbox import Effect, EffectKind
from core.production import NodeResult, NodeState, ProductionNode, orders
from core.unit_of_work import Unit

NOT_ACCEPTED = "制卡中心未受理本次制卡，申请已关闭。请重新申请，或拨打 028-12333。"


async def taken(unit: Unit, effect: Effect) -> None:
    """The partner has done it, now or by a late answer."""
    if not await outbox.settle(unit.db, effect, unit.now):
        return
    if effect.kind is EffectKind.REGION_MOVE:
        await _confirm_move(unit, effect)
    elif effect.kind is EffectKind.ISSUER_ORDER:
        await _confirm_order(unit, effect)


async def refused(unit: Unit, effect: Effect, code: str) -> None:
    """The partner will never do it, or an operator gave it up; `code` says why."""
    if not await outbox.settle(unit.db, effect, unit.now, f"refused: {code}"):
        return
    if effect.kind is EffectKind.REGION_MOVE:
        await _undo_move(unit, effect, code)
    elif effect.kind is EffectKind.ISSUER_ORDER:
        await _undo_order(unit, effect, code)


async def _confirm_move(unit: Unit, effect: Effect) -> None:
    await lock(unit.db, effect.person)
    await cards.confirm(unit.db, effect.payload["cardId"])
    citizen = await find_citizen(unit.db, unit.tools.vault, effect.person)
    assert citizen is not None
    await notices.send(unit, citizen, Notice.TRANSFERRED_IN)


async def _undo_move(unit: Unit, effect: Effect, code: str) -> None:
    """The card stays where it was; it never was Chengdu's."""
    card_id = effect.payload["cardId"]
    holder = await holders.lock(unit.db, unit.tools.vault, unit.now, effect.person)
    if not await cards.withdraw(unit.db, card_id):
        return
    await audit.record(
        unit, effect.person, Action.TRANSFER_REFUSED, code, nobody=audit.WORKER, card=card_id
    )
    await notices.send(unit, holder.citizen, Notice.TRANSFER_REFUSED)


async def _confirm_order(unit: Unit, effect: Effect) -> None:
    await lock(unit.db, effect.person)
    order = await orders.find_order(unit.db, unit.tools.vault, effect.payload["orderNumber"])
    assert order is not None
    await orders.set_confirmation(unit.db, order.id, Confirmation.CONFIRMED)
    unit.progress_of.add(effect.person)


async def _undo_order(unit: Unit, effect: Effect, code: str) -> None:
    """The application is closed, so that the citizen can apply anew or cancel the loss."""
    holder = await holders.lock(unit.db, unit.tools.vault, unit.now, effect.person)
    order = await orders.find_order(unit.db, unit.tools.vault, effect.payload["orderNumber"])
    assert order is not None
    if order.confirmation is not Confirmation.BEING_CONFIRMED:
        return
    await orders.set_confirmation(unit.db, order.id, Confirmation.REJECTED)
    intake = NodeState(ProductionNode.INTAKE, NodeResult.FAILED, unit.now, NOT_ACCEPTED)
    await orders.set_node(unit.db, order.id, intake)
    await applications.close(unit.db, effect.person, unit.now)
    await audit.record(
        unit,
        effect.person,
        Action.ORDER_REFUSED,
        code,
        nobody=audit.WORKER,
        application=order.application.id,
    )
    await notices.send(unit, holder.citizen, Notice.ORDER_REFUSED)
    unit.progress_of.add(effect.person)
