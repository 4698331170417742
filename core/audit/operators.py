"""What operators' commands change beside one person's data: a chain of its own, with their names."""

import orjson

from core.audit import log
from core.audit.access_log import LANES
from core.audit.log import DONE, OPERATOR, Action, AuditRecord, head_of
from core.crypto import Seals
from core.db import Database, Transaction
from core.kernel.clock import Instant
from core.unit_of_work import UnitOfWork

GATEWAY = LANES.stop
"""Subject of the chain; no citizen or session has such an id."""


async def record(unit: UnitOfWork, subject_id: int, command: str, operator: str) -> None:
    """Adds the entry in the unit of work of the change."""
    await log.record(
        unit,
        subject_id,
        Action.OPERATOR_COMMAND,
        actor=OPERATOR,
        command=command,
        operator=operator,
    )


async def extend(
    db: Transaction, seals: Seals, subject_id: int, now: Instant, command: str, operator: str
) -> None:
    """Adds the entry in the transaction of the change."""
    details = orjson.dumps({"command": command, "operator": operator}).decode()
    entry = AuditRecord(subject_id, now, Action.OPERATOR_COMMAND, DONE, OPERATOR, 0, details)
    await log.extend(db, seals, await head_of(db, subject_id), entry)


async def record_command(
    database: Database, seals: Seals, now: Instant, command: str, operator: str
) -> None:
    """Adds the entry in a transaction of its own, before the command changes anything."""

    async def job(db: Transaction) -> None:
        await extend(db, seals, GATEWAY, now, command, operator)

    await database.write(job)
