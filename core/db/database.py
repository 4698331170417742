"""The protocol that both databases implement.

`fetch` reads committed data. `apply(writes)` makes collected writes durable, all of them or none.
`write(job)` does so for a job that reads between its writes: it runs `job(transaction)`, maybe several
times, and if the job raises, everything it wrote is rolled back.

A job may await nothing but its transaction: on SQLite it runs in the driver's thread, on
PostgreSQL it holds row locks. See docs/adr/0002-batched-reads-and-group-commit.md.
"""

from collections.abc import Awaitable
from typing import Protocol

from sqlalchemy.engine import Dialect

from core.db.query import Job, Reader, T
from core.db.writes import Writes


class Database(Reader, Protocol):
    dialect: Dialect

    def apply(self, writes: Writes) -> Awaitable[None]:
        """Writes all of it, or raises `LostRace` and has written nothing.

        As `write`, raises `CommitUnknown` if nobody can tell which.
        """

    async def write(self, job: Job[T]) -> T: ...

    async def close(self) -> None: ...
