"""A batch of the access log whose commit was not answered is written once."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog

from core.audit import lanes
from core.audit.lanes import Lanes
from core.db import Database, Limits, connect
from tests.core.test_access_log_lanes import Log, lost
from tests.core.test_audit import found
from tests.database_faults import Wire
from tests.front_end import World

pytestmark = pytest.mark.usefixtures("since_seeding")

IMPATIENT = Limits(deadline_seconds=1.5, acquire_seconds=1.0, statement_seconds=1.0)


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[Wire]:
    parts = urlsplit(database_url)
    yield (found := Wire(parts.hostname or "127.0.0.1", parts.port or 5432))
    await found.close()


@pytest.fixture
async def wired(wire: Wire, database_url: str) -> AsyncIterator[Database]:
    path = urlsplit(database_url).path
    database = await connect(f"postgresql://127.0.0.1:{await wire.open()}{path}", IMPATIENT)
    yield database
    await database.close()


@pytest.fixture
async def log(world: World, wired: Database) -> Log:
    await world.application.access_log.stop()
    return Log(world, wired)


on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


@on_postgres
@pytest.mark.parametrize("delivered", [True, False], ids=["lost answer", "lost question"])
async def test_a_batch_is_written_once(world: World, wire: Wire, log: Log, delivered: bool) -> None:
    log.look(1)
    with wire.cutting(b"COMMIT", delivered=delivered):
        await log.writer.flush()
    doubts = len(log.writer._lanes.in_doubt)
    log.look(2)
    await log.writer.flush()

    assert doubts == 1
    assert sorted(await log.persons()) == [1, 2]
    assert await found(world) == []


@on_postgres
async def test_written_again_without_asking_it_would_be_there_twice(
    world: World, wire: Wire, log: Log
) -> None:
    """The control."""
    log.look(1)
    with wire.cutting(b"COMMIT"):
        await log.writer.flush()
    log.writer._lanes.in_doubt.clear()
    await log.writer.flush()

    assert await log.persons() == [1, 1]


@on_postgres
async def test_a_commit_that_arrives_late_is_waited_for(
    world: World, database_url: str, wire: Wire, log: Log
) -> None:
    """The old transaction still holds its lane when it is asked for: nothing is known before it ends."""
    log.look(0)
    await log.writer.flush()
    lane = log.writer._lanes.current
    other = await asyncpg.connect(database_url)
    log.look(1)
    with wire.cutting(b"COMMIT", delivered=False):
        await log.writer.flush()
    async with other.transaction():
        await other.execute(f"SELECT 1 FROM audit_heads WHERE subject_id = {lane} FOR UPDATE")
        log.look(2)
        await log.writer.flush()
        meanwhile = sorted(await log.persons())
    await other.close()
    await log.writer.flush()

    assert meanwhile == [0]
    assert sorted(await log.persons()) == [0, 1, 2]
    assert await found(world) == []


@on_postgres
async def test_a_number_that_was_asked_for_is_taken(world: World, wire: Wire, log: Log) -> None:
    """So that the batch cannot come after the answer that it is not there."""
    log.look(1)
    with wire.cutting(b"COMMIT", delivered=False):
        await log.writer.flush()
    batch = log.writer._lanes.in_doubt[0].batch
    assert batch is not None
    await log.writer.flush()

    assert [row.batch for row in await log.rows()] == [batch.number + 1]


@on_postgres
async def test_of_a_lane_that_is_lost_a_batch_is_rather_there_twice_than_not(
    world: World, wire: Wire, log: Log
) -> None:
    log.look(1)
    with wire.cutting(b"COMMIT", delivered=False):
        await log.writer.flush()
    lane = log.writer._lanes.current
    async with lost(world, "audit_entries", f"NEW.subject_id = {lane}"):
        await log.writer.flush()
        at_once = await log.persons()
        log.seconds += lanes.DOUBT_SECONDS
        with structlog.testing.capture_logs() as logged:
            await log.writer.flush()

    assert at_once == []
    assert await log.persons() == [1]
    assert [line["event"] for line in logged] == ["audit.maybe_twice"]
    assert "subject_id" not in logged[0]


@contextmanager
def locked(path: str) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_on_sqlite_what_is_written_after_the_deadline_is_there_once(
    world: World, database_url: str, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, if nobody asks: the control."""
    await world.application.access_log.stop()
    database = await connect(database_url, Limits(deadline_seconds=0.3))
    log = Log(world, database)
    path = database_url.removeprefix("sqlite:///")
    if not asks:

        async def forget(self: Lanes) -> list[object]:
            self.in_doubt.clear()
            return []

        monkeypatch.setattr(Lanes, "settle", forget)
    log.look(1)
    with locked(path):
        await log.writer.flush()
    while log.writer._waiting:
        await log.writer.flush()
    await database.close()

    assert await log.persons() == ([1] if asks else [1, 1])
