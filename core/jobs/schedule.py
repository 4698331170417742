"""Scheduler: each job has a row, and one of all workers runs it when it is due.

A worker leases a due job by a conditional update. If the worker dies, the lease expires and the job
runs again; jobs must therefore be idempotent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    String,
    Table,
    and_,
    bindparam,
    or_,
    select,
    update,
)

from core.db import Database, DatabaseUnavailable, Query, Reader, Transaction, metadata
from core.kernel.background import BackgroundTask
from core.kernel.clock import CLOCK_SKEW, MINUTE, Instant
from core.unit_of_work import Dependencies, UnitOfWork

scheduled_jobs_table = Table(
    "scheduled_jobs",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("due_at", BigInteger, nullable=False),
    Column("leased_until", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

LEASE = 5 * MINUTE
_POLL_SECONDS = 5.0


def _is_over(until: Column[int], latest: str) -> ColumnElement[bool]:
    """Or later than it can be: the clock was set back since."""
    return or_(until <= bindparam("at"), until > bindparam(latest))


_ALL = Query(select(scheduled_jobs_table))
_LEASE_JOB = Query(
    lambda insert: (
        insert(scheduled_jobs_table)
        .values(name=bindparam("job"), due_at=bindparam("at"), leased_until=bindparam("until"))
        .on_conflict_do_update(
            index_elements=["name"],
            set_={"leased_until": bindparam("until")},
            where=and_(
                _is_over(scheduled_jobs_table.c.due_at, "longest_wait"),
                _is_over(scheduled_jobs_table.c.leased_until, "longest_lease"),
            ),
        )
        .returning(scheduled_jobs_table.c.name)
    )
)
_RESCHEDULE = Query(
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
    """What a job gets; `now` is the time of the run. It adds to `outbox_of` whom it has put messages
    into the outbox for."""

    database: Database
    dependencies: Dependencies
    now: Instant
    outbox_of: set[int] = field(default_factory=set)

    def new_unit(self, reader: Reader) -> UnitOfWork:
        return UnitOfWork(reader, self.now, None, self.dependencies)


Work: TypeAlias = Callable[[JobContext], Awaitable[int]]
"""Returns the number of items that it processed."""


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """`every`: milliseconds from the start of a successful run to the next one."""

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
        wake: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`wake` is called after a job for each subject with new messages in the outbox."""
        self._jobs = jobs
        self._database = database
        self._dependencies = dependencies
        self._clock = clock
        self._wake = wake
        self._task = BackgroundTask(self._run, "scheduler")

    def start(self) -> None:
        self._task.start()

    async def stop(self) -> None:
        await self._task.stop()

    async def run_due(self) -> dict[str, int]:
        """Runs the due jobs that no other worker has leased; returns each job's count."""
        now, done = self._clock(), {}
        for job in await self._due(now):
            if await self._acquire(job, now):
                done[job.name] = await self._execute(job, now)
        return done

    async def _run(self) -> None:
        """Waits before the first run, so that it does not slow down the start of the process."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                await self.run_due()
            except DatabaseUnavailable as error:
                log.warning("schedule.unavailable", reason=type(error).__name__)
            except Exception:
                log.exception("schedule.failed")

    async def _due(self, now: Instant) -> list[ScheduledJob]:
        every = {job.name: job.every for job in self._jobs}
        waiting = {
            row["name"]
            for row in await self._database.fetch(_ALL)
            if now < row["due_at"] <= now + every.get(row["name"], 0) + CLOCK_SKEW
            or now < row["leased_until"] <= now + LEASE + CLOCK_SKEW
        }
        return [job for job in self._jobs if job.name not in waiting]

    async def _acquire(self, job: ScheduledJob, now: Instant) -> bool:
        async def acquire(db: Transaction) -> bool:
            leased = await db.fetch_one(
                _LEASE_JOB,
                job=job.name,
                at=now,
                until=now + LEASE,
                longest_wait=now + job.every + CLOCK_SKEW,
                longest_lease=now + LEASE + CLOCK_SKEW,
            )
            return leased is not None

        return await self._database.write(acquire)

    async def _execute(self, job: ScheduledJob, now: Instant) -> int:
        """A job that fails runs again when its lease expires; the other jobs are not affected."""
        context = JobContext(self._database, self._dependencies, now)
        try:
            count = await job.work(context)
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("schedule.job_failed", job=job.name)
            return 0

        async def done(db: Transaction) -> None:
            await db.fetch(_RESCHEDULE, job=job.name, lease=now + LEASE, next_due=now + job.every)

        await self._database.write(done)
        if count:
            log.info("schedule.done", job=job.name, count=count)
        for subject_id in context.outbox_of:
            self._wake(subject_id)
        return count
