"""A part of the database is lost: what the rest can hold is written, and nobody else is refused."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
import structlog
from sqlalchemy import text

from core.audit import DONE, AccessLogWriter, Action, AuditRecord, lanes, writer
from core.audit.access_log import LANES
from core.db import Database, Limits, Query, Transaction, connect
from core.kernel.clock import SECOND
from core.kernel.refusals import TryAgainLater
from tests.core.test_audit import found
from tests.front_end import World

pytestmark = pytest.mark.usefixtures("since_seeding")

FIRST_PERSON = 10**15


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


@dataclass
class Log:
    """A writer of its own, with a clock that the test moves."""

    world: World
    database: Database | None = None
    seconds: float = 0
    writer: AccessLogWriter = field(init=False)

    def __post_init__(self) -> None:
        application = self.world.application
        self.writer = AccessLogWriter(
            self.database or application.database,
            application.dependencies.seals,
            application.clock,
            60,
            lambda: int(self.seconds * SECOND),
        )

    def look(self, person: int) -> None:
        now = self.world.application.clock()
        subject_id = FIRST_PERSON + person
        self.writer.add(AuditRecord(subject_id, now, Action.VIEWER, DONE, "WECHAT", 1))

    def is_refused(self, person: int) -> bool:
        try:
            self.look(person)
        except TryAgainLater:
            return True
        return False

    async def rows(self) -> list[Any]:
        return [
            row
            for row in (await self.world.rows("access_log"))["access_log"]
            if row.subject_id >= FIRST_PERSON
        ]

    async def persons(self) -> list[int]:
        return [row.subject_id - FIRST_PERSON for row in await self.rows()]


@pytest.fixture
async def log(world: World) -> Log:
    await world.application.access_log.stop()
    return Log(world)


@contextlib.asynccontextmanager
async def lost(world: World, table: str, condition: str) -> AsyncIterator[None]:
    """The database refuses new rows of the table that meet a condition on `NEW`."""
    if world.application.database.dialect.name == "sqlite":
        make = [
            f"CREATE TRIGGER lost BEFORE INSERT ON {table} WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'lost'); END"
        ]
        remove = ["DROP TRIGGER lost"]
    else:
        make = [
            "CREATE FUNCTION lost() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '58030'; END $$",
            f"CREATE TRIGGER lost BEFORE INSERT ON {table} FOR EACH ROW WHEN ({condition})"
            " EXECUTE FUNCTION lost()",
        ]
        remove = ["DROP FUNCTION lost CASCADE"]
    await run(world, make)
    try:
        yield
    finally:
        await run(world, remove)


async def run(world: World, statements: list[str]) -> None:
    async def job(transaction: Transaction) -> None:
        for statement in statements:
            await transaction.fetch(Query(text(statement)))

    await world.application.database.write(job)


# --- a lane --------------------------------------------------------------------------------


async def test_another_lane_is_taken_and_kept(world: World, log: Log) -> None:
    first = log.writer._lanes.current
    log.look(1)
    async with lost(world, "audit_entries", f"NEW.subject_id = {first}"):
        await log.writer.flush()
        second = log.writer._lanes.current
        log.look(2)
        await log.writer.flush()
        log.seconds += 60
        refused = log.is_refused(3)
    await log.writer.flush()

    assert not refused
    assert sorted(await log.persons()) == [1, 2, 3]
    assert {row.lane for row in await log.rows()} == {second} != {first}
    assert await found(world) == []


async def test_the_only_lane_that_is_left_is_found(world: World, log: Log) -> None:
    left = LANES[log.writer._lanes.current % len(LANES)]
    log.look(1)

    async with lost(world, "audit_entries", f"NEW.subject_id <> {left}"):
        await log.writer.flush()

    assert [row.lane for row in await log.rows()] == [left]


async def test_with_one_lane_everything_waits_for_it(
    world: World, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the lanes."""
    lane = log.writer._lanes.current
    monkeypatch.setattr(lanes, "LANES", (lane,))
    log.look(1)

    async with lost(world, "audit_entries", f"NEW.subject_id = {lane}"):
        await log.writer.flush()
        log.seconds += 6
        assert log.writer.is_behind
        assert log.is_refused(2)
        assert await log.persons() == []
    await log.writer.flush()

    assert await log.persons() == [1]
    assert not log.is_refused(2)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_lane_that_hangs_is_left_before_anyone_is_refused(
    world: World, log: Log, database_url: str
) -> None:
    database = await connect(database_url, Limits())
    other = await asyncpg.connect(database_url)
    log = Log(world, database)
    log.look(1)
    await log.writer.flush()
    lane = log.writer._lanes.current
    try:
        await other.execute(
            f"BEGIN; SELECT 1 FROM audit_heads WHERE subject_id = {lane} FOR UPDATE"
        )
        log.look(2)
        began = time.monotonic()
        await log.writer.flush()
        took = time.monotonic() - began
    finally:
        await other.close()
        await database.close()

    assert sorted(await log.persons()) == [1, 2]
    assert Limits().deadline_seconds < took < writer.REFUSE_AFTER_SECONDS - writer.FLUSH_SECONDS


# --- a person ------------------------------------------------------------------------------

DEAD = {7, 130, 131, 400}
OF_THE_DEAD = f"NEW.subject_id IN ({', '.join(str(FIRST_PERSON + person) for person in DEAD)})"


async def test_one_whose_rows_cannot_be_written_holds_nobody_back(world: World, log: Log) -> None:
    people = set(range(500))
    for person in people:
        log.look(person)

    async with lost(world, "access_log", OF_THE_DEAD):
        await log.writer.flush()

        assert set(await log.persons()) == people - DEAD
        log.seconds += 60
        assert {person for person in people if log.is_refused(person)} == DEAD
        assert not log.writer.is_behind
        await log.writer.flush()
        assert set(await log.persons()) == people - DEAD
    log.seconds += 60
    while log.writer._set_aside:
        await log.writer.flush()
        log.seconds += writer.AGAIN_SECONDS

    assert sorted(await log.persons()) == sorted([*people, *(people - DEAD)])
    assert not any(log.is_refused(person) for person in DEAD)
    assert await found(world) == []


async def test_one_who_looks_often_holds_nobody_back(world: World, log: Log) -> None:
    for _ in range(3 * writer._IN_A_ROW):
        log.look(7)

    async with lost(world, "access_log", OF_THE_DEAD):
        await log.writer.flush()
        log.seconds += 60

        assert not log.writer.is_behind
        assert log.is_refused(7)
        assert not log.is_refused(1)
        await log.writer.flush()
        assert await log.persons() == [1]


async def test_undivided_a_batch_waits_for_one_person(
    world: World, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the division."""
    monkeypatch.setattr(writer, "_DIVISOR", 1)
    for person in range(500):
        log.look(person)

    async with lost(world, "access_log", OF_THE_DEAD):
        await log.writer.flush()
        log.seconds += 6

        assert await log.persons() == []
        assert log.is_refused(1)


async def test_what_is_set_aside_stands_in_the_application_log(world: World, log: Log) -> None:
    """At once, for a process that is killed, and again at its end."""
    log.look(7)

    with structlog.testing.capture_logs() as logged:
        async with lost(world, "access_log", OF_THE_DEAD):
            await log.writer.flush()
            stopping = asyncio.create_task(log.writer.stop())
            await asyncio.sleep(0.05)
            log.seconds += 60
            await stopping

    told = [line["event"] for line in logged if line.get("subject_id") == FIRST_PERSON + 7]
    assert told == ["audit.set_aside", "audit.unwritten"]


async def test_where_nobodys_rows_can_be_written_everybody_is_refused(
    world: World, log: Log
) -> None:
    """All lanes work; it is no single person's fault."""
    people = range(100)
    for person in people:
        log.look(person)

    async with lost(world, "access_log", "true"):
        await log.writer.flush()
        log.seconds += 6

        assert log.writer.is_behind
        assert log.is_refused(1_000)
        assert await log.persons() == []
    log.seconds += 60
    await log.writer.flush()

    assert not log.is_refused(1_000)
    while log.writer._set_aside or log.writer._waiting:
        await log.writer.flush()
        log.seconds += writer.AGAIN_SECONDS
    assert sorted(await log.persons()) == [*people, 1_000]


async def test_without_a_limit_it_would_go_on_for_fifty_thousand(
    world: World, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(writer, "_IN_A_ROW", 10**9)
    for person in range(100):
        log.look(person)

    async with lost(world, "access_log", "true"):
        await log.writer.flush()
        log.seconds += 6

        assert not log.is_refused(1_000)
