"""Scheduled work: when it is due, by one of many workers, and again where one died."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from core.applications import prefills
from core.cards.cards import TEMPORARY_LOSS_LASTS
from core.citizens import Limit, nonces, quotas_table, sessions_table
from core.citizens.quotas import consume
from core.db import Database, DatabaseUnavailable, Query
from core.imaging import ReadField, Side
from core.issuer import IssuerEvent, IssuerEventType, Outcome, event_store
from core.jobs import JOBS, Scheduler
from core.jobs.schedule import LEASE, JobContext, ScheduledJob
from core.kernel.clock import DAY, HOUR, MINUTE, SECOND, Instant, moment
from core.kernel.settings import Settings
from core.messaging import outbox, verification_codes_table
from core.unit_of_work import Dependencies, UnitOfWork
from gateway.app import build_dependencies
from tests.clock import START, Clock
from tests.front_end import FrontEnd, World
from tests.services.parts import history, later, notices, person_id
from tests.units import change, perform_in

_SAVE_DRAFT = (
    "mutation($i: ApplicationDraftInput!) { saveApplicationDraft(input: $i) { __typename } }"
)
_CHANGE = "mutation($i: ChangeContactInput!) { changeContact(input: $i) { __typename } }"
_OUTBOX = Query(outbox.outbox_table.select())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def dependencies(settings: Settings) -> AsyncIterator[Dependencies]:
    async with httpx.AsyncClient(trust_env=False) as http:
        dependencies = build_dependencies(settings, http)
        yield dependencies
        dependencies.hasher.close()
        dependencies.pictures_pool.close()


class Noted:
    """A job that notes when it ran."""

    def __init__(self, *, fails: int = 0) -> None:
        self.times: list[Instant] = []
        self._fails = fails

    async def __call__(self, context: JobContext) -> int:
        self.times.append(context.now)
        await asyncio.sleep(0)
        if self._fails:
            self._fails -= 1
            raise ValueError("no")
        return 1


def scheduler(db: Database, dependencies: Dependencies, clock: Clock, *works: Noted) -> Scheduler:
    jobs = [ScheduledJob(f"job{i}", MINUTE, work) for i, work in enumerate(works)]
    return Scheduler(jobs, db, dependencies, clock)


async def test_runs_a_job_when_it_is_due(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    work = Noted()
    schedule = scheduler(db, dependencies, clock, work)

    for seconds in (0, 30, 60, 61, 119, 120):
        clock.now = START + seconds * SECOND
        await schedule.run_due()

    assert work.times == [START, START + MINUTE, START + 2 * MINUTE]


async def test_of_many_workers_one_runs_it(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    work = Noted()
    workers = [scheduler(db, dependencies, clock, work) for _ in range(20)]

    done = await asyncio.gather(*(worker.run_due() for worker in workers))

    assert work.times == [START]
    assert sorted(done, key=len) == [{}] * 19 + [{"job0": 1}]


async def test_without_the_lease_they_all_run_it(
    db: Database, dependencies: Dependencies, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the same twenty workers, of which nobody takes the job."""

    async def take_nothing(*_: object) -> bool:
        return True

    monkeypatch.setattr(Scheduler, "_acquire", take_nothing)
    work = Noted()
    workers = [scheduler(db, dependencies, clock, work) for _ in range(20)]

    await asyncio.gather(*(worker.run_due() for worker in workers))

    assert len(work.times) > 1


async def test_for_whom_a_job_put_messages_the_worker_is_woken(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    woken: list[int] = []

    async def work(context: JobContext) -> int:
        context.outbox_of.update((7, 8))
        return 2

    jobs = [ScheduledJob("job", MINUTE, work)]
    await Scheduler(jobs, db, dependencies, clock, woken.append).run_due()

    assert sorted(woken) == [7, 8]


async def test_a_job_that_failed_is_run_again_and_hinders_no_other(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    failing, other = Noted(fails=1), Noted()
    schedule = scheduler(db, dependencies, clock, failing, other)

    await schedule.run_due()
    clock.now += LEASE - 1
    await schedule.run_due()
    during_lease = list(failing.times)
    clock.now += 1
    await schedule.run_due()

    assert during_lease == [START]
    assert failing.times == [START, START + LEASE]
    assert other.times[0] == START


async def test_a_worker_that_is_late_does_not_end_the_others_turn(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    """Its lease went to another: only that one may say when the job is due again."""
    slow_began, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Noted):
        async def __call__(self, context: JobContext) -> int:
            if not self.times:
                self.times.append(context.now)
                slow_began.set()
                await go_on.wait()
                return 1
            return await super().__call__(context)

    work = Slow()
    late = asyncio.create_task(scheduler(db, dependencies, clock, work).run_due())
    await slow_began.wait()
    clock.now = START + LEASE + MINUTE
    await scheduler(db, dependencies, clock, work).run_due()
    go_on.set()
    await late

    clock.now += MINUTE - 1
    assert await scheduler(db, dependencies, clock, work).run_due() == {}
    clock.now += 1
    assert await scheduler(db, dependencies, clock, work).run_due() == {"job0": 1}


async def test_a_worker_that_is_late_lets_nobody_in_beside_the_next(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    began, go_on = (asyncio.Event(), asyncio.Event()), (asyncio.Event(), asyncio.Event())

    class Slow(Noted):
        async def __call__(self, context: JobContext) -> int:
            turn = len(self.times)
            self.times.append(context.now)
            if turn < 2:
                began[turn].set()
                await go_on[turn].wait()
            return 1

    work = Slow()
    late = asyncio.create_task(scheduler(db, dependencies, clock, work).run_due())
    await began[0].wait()
    clock.now = START + LEASE + MINUTE
    next_one = asyncio.create_task(scheduler(db, dependencies, clock, work).run_due())
    await began[1].wait()
    go_on[0].set()
    await late

    beside = await scheduler(db, dependencies, clock, work).run_due()

    go_on[1].set()
    await next_one
    assert beside == {}
    assert work.times == [START, START + LEASE + MINUTE]


async def test_a_temporary_loss_is_written_back_and_told(world: World, active: FrontEnd) -> None:
    await world.advance("active", event="TEMPORARY_LOSS")
    application = world.application
    now = application.clock()

    early = await run_jobs(world, now + TEMPORARY_LOSS_LASTS - HOUR)
    still = (await world.rows("cards"))["cards"]
    in_time = await run_jobs(world, now + TEMPORARY_LOSS_LASTS + MINUTE)

    assert (early["expire-losses"], in_time["expire-losses"]) == (0, 2), "that persona's too"
    number = await person_id(world, active.person)
    assert [row.state for row in still if row.subject_id == number] == ["4"]
    assert [
        row.state for row in (await world.rows("cards"))["cards"] if row.subject_id == number
    ] == ["1"]
    assert (await history(world, active.person))[-1] == "LOSS_LAPSED"
    with later(days=7, minutes=2):
        await application.worker.deliver_due()
        assert "临时挂失已满七天" in (await notices(active))[0]
    assert (await run_jobs(world, now + 2 * TEMPORARY_LOSS_LASTS))["expire-losses"] == 0


async def test_forgets_what_is_over_and_nothing_else(world: World, active: FrontEnd) -> None:
    await active.code("REPORT_LOSS")
    application = world.application
    now = application.clock()
    retention = application.dependencies.settings.retention_days * DAY

    async def work(unit: UnitOfWork) -> None:
        await nonces.use(unit.db, unit.writes, "test", ["over"], now + DAY)
        await nonces.use(unit.db, unit.writes, "test", ["lasting"], now + 1000 * DAY)
        await consume(unit.db, unit.writes, [([b"key"], [Limit(1, DAY)])], now)
        outbox.put(unit, subject_id=1, kind=outbox.MessageKind.ISSUER_ORDER, payload={})
        unit.writes.see_each_other = True
        unit.writes.add(
            Query(
                outbox.outbox_table.update()
                .where(outbox.outbox_table.c.subject_id == 1)
                .values(dead_at=now, failure="expired", due_at=now + 9 * retention)
            )
        )

    await perform_in(application.database, application.dependencies, now, work)
    before = await kinds(world)
    await application.worker.drained()
    kept = await counts(world)

    await run_jobs(world, now)
    assert await counts(world) == kept
    await run_jobs(world, now + retention + 2 * DAY)

    assert before == {"SMS_CODE", "ISSUER_ORDER", "SMS", "CHANNEL_MESSAGE"}
    assert await kinds(world) == {"ISSUER_ORDER", "SMS"}, "dead letters, and a loss that lapsed"
    left = await counts(world)
    assert left == {"verification_codes": 0, "quotas": 0, "sessions": 0, "nonces": 1}
    assert kept["verification_codes"] == 1
    assert kept["sessions"] == 1
    assert await history(world, active.person)


async def test_of_one_subject_only_what_is_over_is_forgotten(world: World) -> None:
    application, kind = world.application, outbox.MessageKind.ISSUER_ORDER
    now = application.clock()
    retention = application.dependencies.settings.retention_days * DAY

    def put(unit: UnitOfWork) -> None:
        outbox.put(unit, subject_id=1, kind=kind, payload={})

    def settle(unit: UnitOfWork) -> None:
        of_subject = outbox.outbox_table.c.subject_id == 1
        settled_at = outbox.outbox_table.c.created_at
        unit.writes.add(
            Query(outbox.outbox_table.update().where(of_subject).values(settled_at=settled_at))
        )

    for at in (now - retention - DAY, now):
        await perform_in(application.database, application.dependencies, at, put)
    await change(world, settle)
    await run_jobs(world, now)

    left = [row.created_at for row in (await world.rows("outbox"))["outbox"] if row.subject_id == 1]
    assert left == [now]


async def test_keeps_each_thing_until_its_own_time_is_over(world: World, active: FrontEnd) -> None:
    """A code for minutes after its end, an answer for a day, a counter for two, a draft for thirty.

    So long as an answer of ours, one of the card registry."""
    applicant = await world.enter("no-card")
    await applicant.ask(_SAVE_DRAFT, i={"postalCode": "610000"})
    await applicant.ask("{ applicationForm { __typename } }")
    await active.post(
        _CHANGE, {"i": {"residentialPostalCode": "610000"}}, **{"Idempotency-Key": "k"}
    )
    await active.send_code("REPORT_LOSS")
    now, number = world.application.clock(), await person_id(world, applicant.person)

    async def save(unit: UnitOfWork) -> None:
        read = (ReadField("name", "唐晓舟", 0.99),)
        vault = world.application.dependencies.vault
        await prefills.save(unit.db, unit.writes, vault, number, Side.PORTRAIT_SIDE, read, now)

    await change(world, save)

    await run_jobs(world, now + 14 * MINUTE)
    after_minutes = await kept(world)
    await run_jobs(world, now + DAY - MINUTE)
    after_a_day = await kept(world)
    await run_jobs(world, now + 2 * DAY - MINUTE)
    after_two_days = await kept(world)
    await run_jobs(world, now + 30 * DAY - MINUTE)
    after_a_month = await kept(world)
    await run_jobs(world, now + 30 * DAY + MINUTE)

    drafts = {"application_drafts", "prefills"}
    day = {"idempotency_keys", "cards_elsewhere"}
    assert after_minutes == {*day, "verification_codes", "quotas", *drafts}
    assert after_a_day == {*day, "quotas", *drafts}
    assert after_two_days == {"quotas", *drafts}
    assert after_a_month == drafts
    assert await kept(world) == set()


async def test_an_event_that_waits_for_an_operator_is_never_forgotten(
    world: World, active: FrontEnd
) -> None:
    """Of two events that are as old, only the one that was taken goes."""
    await world.advance("in-production")
    application = world.application
    retention = application.dependencies.settings.retention_days * DAY

    unknown = IssuerEvent(
        id="unknown", type=IssuerEventType.LOCK, happened_at=moment(1), card_number="X"
    )
    await change(
        world,
        lambda unit: event_store.add(
            unit.writes,
            application.dependencies.vault,
            unknown,
            event_store.nobody("unknown"),
            Outcome.UNKNOWN_SUBJECT,
            unit.now,
        ),
    )
    before = (await world.rows("issuer_events"))["issuer_events"]

    await run_jobs(world, application.clock() + retention + DAY)

    left = (await world.rows("issuer_events"))["issuer_events"]
    assert sorted(row.outcome for row in before) == ["TAKEN", "UNKNOWN_SUBJECT"]
    assert [row.id for row in left] == ["unknown"]


async def kept(world: World) -> set[str]:
    """Which of the short-lived tables still hold something."""
    names = (
        "idempotency_keys",
        "verification_codes",
        "quotas",
        "application_drafts",
        "prefills",
        "cards_elsewhere",
    )
    return {name for name, rows in (await world.rows(*names)).items() if rows}


async def kinds(world: World) -> set[str]:
    return {row["kind"] for row in await world.application.database.fetch(_OUTBOX)}


async def counts(world: World) -> dict[str, int]:
    tables = (verification_codes_table, quotas_table, sessions_table)
    found = {
        table.name: len(await world.application.database.fetch(Query(table.select())))
        for table in tables
    }
    rows = await world.application.database.fetch(Query(nonces.nonces_table.select()))
    return found | {"nonces": sum(row["scope"] == "test" for row in rows)}


async def run_jobs(world: World, now: Instant) -> dict[str, int]:
    """Every job of the product, as if it were due at that moment."""
    context = JobContext(world.application.database, world.application.dependencies, now)
    return {job.name: await job.work(context) for job in JOBS}


async def test_a_database_that_is_away_leaves_the_job_due(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    class Away(Noted):
        async def __call__(self, context: JobContext) -> int:
            await super().__call__(context)
            raise DatabaseUnavailable("gone")

    work = Away()
    schedule = scheduler(db, dependencies, clock, work)
    with pytest.raises(DatabaseUnavailable):
        await schedule.run_due()

    clock.now += LEASE
    with pytest.raises(DatabaseUnavailable):
        await schedule.run_due()

    assert work.times == [START, START + LEASE]
