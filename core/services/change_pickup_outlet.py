"""更改领卡网点 change pickup outlet: sends the card to another outlet of its bank, until stock transfer."""

from dataclasses import dataclass

from core import audit
from core.audit import Action
from core.issuer import change_order
from core.kernel.refusals import NoSuchApplication, PickupOutletUnchanged
from core.production import OrderChange, Progress, orders
from core.reference import Form
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ChangePickupOutlet:
    application_number: str
    district_code: str
    outlet_code: str


async def change_pickup_outlet(unit: UnitOfWork, command: ChangePickupOutlet) -> Progress:
    """The outlet changes once the card issuer has accepted it."""
    vault, reference = unit.dependencies.vault, unit.dependencies.reference
    citizen = await unit.citizen()
    order = await orders.find_order(unit.db, vault, citizen.id, command.application_number.strip())
    if order is None:
        raise NoSuchApplication(field="applicationNumber")
    order.require_changeable(OrderChange.PICKUP_OUTLET)
    form = Form()
    form.choice("districtCode", command.district_code, reference.districts)
    form.outlet(
        command.outlet_code, command.district_code, order.bank_code, reference, bank_is_fixed=True
    )
    form.finish()
    if command.outlet_code == order.outlet_code:
        raise PickupOutletUnchanged(field="outletCode")
    order = change_order.request(
        unit, order, OrderChange.PICKUP_OUTLET, outletCode=command.outlet_code
    )
    application = order.application.id
    await audit.record(unit, citizen.id, Action.CHANGE_PICKUP_OUTLET, application=application)
    return Progress(citizen, order)
