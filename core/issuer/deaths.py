"""A recorded death ends sessions, bindings, drafts and open orders; nobody acts for the person any more."""

from collections.abc import Iterable

from core import audit
from core.applications import applications, drafts, prefills
from core.audit import Action
from core.citizens import Citizen, Notice, bindings, citizens, sessions
from core.issuer import change_order
from core.messaging import notices
from core.production import CloseReason, Closure, OrderChange, ProductionOrder, orders
from core.unit_of_work import UnitOfWork


async def record(
    unit: UnitOfWork, citizen: Citizen, open_orders: Iterable[ProductionOrder], *, actor: str
) -> None:
    """The card issuer learns that the orders end. Whoever has the phone learns where a wrong record is
    corrected."""
    if citizen.deceased_at is not None:
        return
    vault = unit.dependencies.vault
    unit.writes.see_each_other = True
    citizens.record_death(unit.writes, citizen.id, unit.now)
    for binding in await bindings.of_citizen(unit.db, citizen.id):
        bindings.end(unit.writes, vault, binding, unit.now)
    sessions.end_all(unit.writes, citizen.id, unit.now)
    drafts.discard(unit.writes, citizen.id)
    prefills.discard(unit.writes, citizen.id)
    for order in open_orders:
        closure = Closure(CloseReason.DECEASED, unit.now)
        orders.change(unit.writes, vault, order, closure=closure)
        applications.close(unit.writes, citizen.id, unit.now)
        change_order.tell(unit, order, OrderChange.CANCELLATION)
    await audit.record(unit, citizen.id, Action.DEATH_RECORDED, actor=actor)
    await notices.send(unit, citizen, Notice.SERVICES_ENDED)
    unit.progress_of.add(citizen.id)
