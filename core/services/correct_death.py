"""An operator corrects a record of a death that was wrong: the person can sign in and apply again."""

from dataclasses import dataclass, field

from core import audit
from core.audit import Action
from core.citizens import citizens
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class CorrectDeath:
    social_security_number: str = field(repr=False)
    operator: str


async def correct_death(unit: UnitOfWork, command: CorrectDeath) -> bool:
    """False if nobody with this number is recorded as dead."""
    vault, number = unit.dependencies.vault, command.social_security_number
    owner = await citizens.id_of_number(unit.db, vault, number)
    if owner is None or (await unit.citizen(owner)).deceased_at is None:
        return False
    citizens.record_death(unit.writes, owner, None)
    await audit.record(
        unit, owner, Action.DEATH_CORRECTED, actor=audit.OPERATOR, operator=command.operator
    )
    return True
