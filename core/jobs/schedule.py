"""Scheduled work: each job has a row, and of many workers one runs it when it is due.

A job is taken by a guarded update that leases it for a time; a worker that dies loses its
lease by then, and the job is run again. What a job does must therefore bear being done twice.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog
from sqlalchemy import BigInteger, Column, String, Table, and_, bindparam, select, update

from core.db import Database, DatabaseUnavailable, Query, Transaction, metadata
from core.kernel.clock import MINUTE, Instant
from core.unit_of_work import Dependencies

scheduled_jobs_table = Table(
    "scheduled_jobs",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("due_at", BigInteger, nullable=False),
    Column("leased_until", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

LEASE = 5 * MINUTE
_LOOK_EVERY_SECONDS = 5.0

_ALL = Query(select(scheduled_jobs_table))
_TAKE = Query(
    lambda insert: (
        insert(scheduled_jobs_table)
        .values(name=bindparam("job"), due_at=bindparam("at"), leased_until=bindparam("until"))
        .on_conflict_do_update(
            index_elements=["name"],
            set_={"leased_until": bindparam("until")},
            where=and_(
                scheduled_jobs_table.c.due_at <= bindparam("at"),
                scheduled_jobs_table.c.leased_until <= bindparam("at"),
            ),
        )
        .returning(scheduled_jobs_table.c.name)
    )
)
_DONE = Query(
    update(scheduled_jobs_table)
    .where(
        scheduled_jobs_table.c.name == bindparam("job"),
        scheduled_jobs_table.c.leased_until == bindparam("lease"),
    )
    .values(due_at=bindparam("next_due"), leased_until=0)
)

log = structlog.get_logger("schedule")


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job is given: the data, the parts, and the time, which it never asks for itself."""

    database: Database
    dependencies: Dependencies
    now: Instant


Work: TypeAlias = Callable[[JobContext], Awaitable[int]]
"""Returns how many things it dealt with."""


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """`every` in milliseconds, from one end to the next beginning."""

    name: str
    every: int
    work: Work = field(repr=False)


class Scheduler:
    def __init__(
        self,
        jobs: Sequence[ScheduledJob],
        database: Database,
        dependencies: Dependencies,
        clock: Callable[[], Instant],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """`wake` is called when a job dealt with something: the outbox may have work."""
        self._jobs = jobs
        self._database = database
        self._tools = dependencies
        self._clock = clock
        self._wake = wake
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="scheduler")

    async def stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def run_due(self) -> dict[str, int]:
        """Runs what is due now and nobody else runs; returns what each job dealt with."""
        now, done = self._clock(), {}
        for job in await self._due(now):
            if await self._take(job, now):
                done[job.name] = await self._do(job, now)
        return done

    async def _run(self) -> None:
        """A start has other things to do first."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            try:
                await self.run_due()
            except DatabaseUnavailable as error:
                log.warning("schedule.unavailable", reason=type(error).__name__)
            except Exception:
                log.exception("schedule.failed")

    async def _due(self, now: Instant) -> list[ScheduledJob]:
        waiting = {
            row["name"]
            for row in await self._database.fetch(_ALL)
            if row["due_at"] > now or row["leased_until"] > now
        }
        return [job for job in self._jobs if job.name not in waiting]

    async def _take(self, job: ScheduledJob, now: Instant) -> bool:
        async def take(db: Transaction) -> bool:
            taken = await db.fetch_one(_TAKE, job=job.name, at=now, until=now + LEASE)
            return taken is not None

        return await self._database.write(take)

    async def _do(self, job: ScheduledJob, now: Instant) -> int:
        """A job that fails is tried again when its lease is over; it keeps no other from its turn."""
        try:
            count = await job.work(JobContext(self._database, self._tools, now))
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("schedule.job_failed", job=job.name)
            return 0

        async def done(db: Transaction) -> None:
            await db.fetch(_DONE, job=job.name, lease=now + LEASE, next_due=now + job.every)

        await self._database.write(done)
        if count:
            log.info("schedule.done", job=job.name, count=count)
            self._wake()
        return count
