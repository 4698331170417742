"""Asks the card issuer to change an open order: the pending change and the outbox message, in one unit of work.

The change takes effect when the issuer accepts it (`core/messaging/outcomes.py`). Messages on orders are
delivered one after the other, so that it never overtakes the order itself.
"""

from typing import Any

from msgspec.structs import replace

from core.messaging import MessageKind, outbox
from core.production import OrderChange, ProductionOrder, orders
from core.unit_of_work import UnitOfWork


def request(
    unit: UnitOfWork, order: ProductionOrder, change: OrderChange, **details: Any
) -> ProductionOrder:
    orders.change(unit.writes, unit.dependencies.vault, order, pending=change)
    tell(unit, order, change, **details)
    unit.progress_of.add(order.citizen_id)
    return replace(order, pending_change=change)


def tell(unit: UnitOfWork, order: ProductionOrder, change: OrderChange, **details: Any) -> None:
    """The message alone, for what has taken effect here already."""
    outbox.put(
        unit,
        subject_id=order.citizen_id,
        kind=MessageKind.ISSUER_ORDER,
        payload={"orderNumber": order.application.number, "change": change.value, **details},
    )
