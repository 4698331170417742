"""Places a production order: its row and the outbox message to the card issuer, in one unit of work."""

from core.applications import Application
from core.citizens import Citizen
from core.kernel.confirmation import Confirmation
from core.messaging import MessageKind, outbox
from core.production import ProductionOrder, orders
from core.unit_of_work import UnitOfWork


def place(
    unit: UnitOfWork,
    citizen: Citizen,
    application: Application,
    *,
    bank_code: str,
    outlet_code: str,
    portrait_id: int | None = None,
) -> ProductionOrder:
    """The message names the portrait by id; its bytes are read at delivery."""
    order = orders.place(
        unit.writes,
        unit.now,
        citizen_id=citizen.id,
        application=application,
        bank_code=bank_code,
        outlet_code=outlet_code,
        confirmation=Confirmation.BEING_CONFIRMED,
    )
    outbox.put(
        unit,
        subject_id=citizen.id,
        kind=MessageKind.ISSUER_ORDER,
        payload={
            "orderNumber": application.number,
            "kind": application.kind.value,
            "name": citizen.name.reveal(),
            "socialSecurityNumber": citizen.social_security_number.reveal(),
            "bankCode": bank_code,
            "outletCode": outlet_code,
            "portraitId": portrait_id,
        },
    )
    unit.progress_of.add(citizen.id)
    return order
