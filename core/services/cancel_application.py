"""取消申请 cancel application: withdraws an application until manufacture begins."""

from dataclasses import dataclass

from core import audit
from core.audit import Action
from core.issuer import change_order
from core.kernel.refusals import NoSuchApplication
from core.production import OrderChange, Progress, orders
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class CancelApplication:
    application_number: str


async def cancel_application(unit: UnitOfWork, command: CancelApplication) -> Progress:
    """The application is closed once the card issuer has accepted the cancellation."""
    vault = unit.dependencies.vault
    citizen = await unit.citizen()
    order = await orders.find_order(unit.db, vault, citizen.id, command.application_number.strip())
    if order is None:
        raise NoSuchApplication(field="applicationNumber")
    order.require_changeable(OrderChange.CANCELLATION)
    order = change_order.request(unit, order, OrderChange.CANCELLATION)
    application = order.application.id
    await audit.record(unit, citizen.id, Action.CANCEL_APPLICATION, application=application)
    return Progress(citizen, order)
