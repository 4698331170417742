"""Whether a write can be committed now, as a load balancer asks several times a second."""

import asyncio
import secrets

from sqlalchemy import BigInteger, Column, SmallInteger, Table, bindparam

from core.db.database import Database
from core.db.query import (
    DatabaseUnavailable,
    Query,
    Transaction,
    UniqueViolation,
    metadata,
)

ANSWER_SECONDS = 0.6
MAX_AGE_SECONDS = 0.25
"""How long an answer is used again, so that questions cost at most four commits a second."""
_ROWS = 64
"""So that the processes do not wait for one another's lock."""

write_probes_table = Table(
    "write_probes",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)

_WRITE = Query(
    lambda insert: (
        insert(write_probes_table)
        .values(id=bindparam("row"), value=bindparam("value"))
        .on_conflict_do_update(index_elements=["id"], set_={"value": bindparam("value")})
    )
)


class Readiness:
    """Commits a row of no meaning. Callers at the same time share one probe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._probe: asyncio.Task[bool] | None = None
        self._ended_at = 0.0

    async def is_writable(self) -> bool:
        """False also if that takes longer than `ANSWER_SECONDS`."""
        if self._probe is None or self._is_old(self._probe):
            self._probe = asyncio.create_task(self._write())
        done, _ = await asyncio.wait({self._probe}, timeout=ANSWER_SECONDS)
        return bool(done) and self._probe.result()

    def _is_old(self, probe: "asyncio.Task[bool]") -> bool:
        return probe.done() and asyncio.get_running_loop().time() - self._ended_at > MAX_AGE_SECONDS

    async def _write(self) -> bool:
        async def job(db: Transaction) -> None:
            await db.fetch(_WRITE, row=secrets.randbelow(_ROWS), value=secrets.randbits(63))

        try:
            await self._database.write(job)
        except (DatabaseUnavailable, UniqueViolation):
            return False
        finally:
            self._ended_at = asyncio.get_running_loop().time()
        return True
