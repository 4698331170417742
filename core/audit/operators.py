"""What operators' commands change beside one person's data: a chain of its own, with their names."""

import orjson

from core.audit.access_log import LANES
from core.audit.log import DONE, OPERATOR, Action, AuditRecord, extend, head_of
from core.crypto import Seals
from core.db import Database, Transaction
from core.kernel.clock import Instant

GATEWAY = LANES.stop
"""Subject of the chain; no citizen or session has such an id."""


def record_of(subject_id: int, now: Instant, command: str, operator: str) -> AuditRecord:
    details = orjson.dumps({"command": command, "operator": operator}).decode()
    return AuditRecord(subject_id, now, Action.OPERATOR_COMMAND, DONE, OPERATOR, 0, details)


async def record_command(
    database: Database, seals: Seals, now: Instant, command: str, operator: str
) -> None:
    """Adds the entry in a transaction of its own, before the command changes anything."""

    async def job(db: Transaction) -> None:
        record = record_of(GATEWAY, now, command, operator)
        await extend(db, seals, await head_of(db, GATEWAY), record)

    await database.write(job)
