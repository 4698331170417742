"""信息变更 · 其他信息变更 change contact: changes the given fields and no others."""

from dataclasses import dataclass, field

from core import audit
from core.audit import Action
from core.citizens import citizens
from core.kernel.clock import Instant
from core.kernel.refusals import NothingToChange
from core.reference import MAX_ADDRESS, Form
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ChangeContact:
    landline: str | None = field(default=None, repr=False)
    registered_address: str | None = field(default=None, repr=False)
    residential_address: str | None = field(default=None, repr=False)
    residential_postal_code: str | None = field(default=None, repr=False)


async def change_contact(unit: UnitOfWork, command: ChangeContact) -> Instant:
    changes = _changes(command)
    citizen = await unit.citizen()
    citizens.change(unit.writes, unit.dependencies.vault, unit.now, citizen, changes)
    await audit.record(unit, citizen.id, Action.CHANGE_CONTACT, fields=",".join(changes))
    return unit.now


def _changes(command: ChangeContact) -> dict[str, str]:
    form = Form()
    changes = {}
    if command.landline:
        changes["landline"] = form.landline("landline", command.landline)
    if command.registered_address:
        changes["registered_address"] = form.text(
            "registeredAddress", command.registered_address, MAX_ADDRESS
        )
    if command.residential_address:
        changes["residential_address"] = form.text(
            "residentialAddress", command.residential_address, MAX_ADDRESS
        )
    if command.residential_postal_code:
        changes["residential_postal_code"] = form.postal_code(
            "residentialPostalCode", command.residential_postal_code
        )
    form.finish()
    if not changes:
        raise NothingToChange
    return changes
