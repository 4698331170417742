"""PostgreSQL that restarts, hangs, is slow or gets other tables, and the pool of connections to it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from core.db import (
    Database,
    DatabaseUnavailable,
    Limits,
    Query,
    Transaction,
    connect,
    postgres_pool,
)
from core.db import postgres_errors as errors
from core.db.postgres import PostgresDatabase
from tests.conftest import PATIENT
from tests.database_faults import Wire

ONE = Query(text("SELECT 1 AS one"))
SLEEP = Query(text("SELECT pg_sleep(:seconds), pg_backend_pid() AS pid"))
PID = Query(text("SELECT pg_backend_pid() AS pid"))


async def opened(url: str, limits: Limits) -> PostgresDatabase:
    database = await connect(url, limits)
    assert isinstance(database, PostgresDatabase)
    return database


@pytest.fixture
async def postgres(postgres_database: str) -> AsyncIterator[PostgresDatabase]:
    database = await opened(postgres_database, PATIENT)
    yield database
    await database.close()


async def read(database: Database, seconds: float = 0.0) -> int:
    row = await database.fetch_one(SLEEP, seconds=seconds)
    assert row is not None
    return int(row["pid"])


async def write(database: Database) -> int:
    async def job(transaction: Transaction) -> int:
        row = await transaction.fetch_one(PID)
        assert row is not None
        return int(row["pid"])

    return await database.write(job)


# --- a restart -----------------------------------------------------------------------------


async def end_all(transaction: Transaction) -> None:
    await transaction.fetch(
        Query(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() ORDER BY pid = pg_backend_pid()"
            )
        )
    )


async def read_after_restart(db: PostgresDatabase) -> list[object]:
    """Reads at once, over a pool whose connections have all been ended."""
    await asyncio.gather(*(db.fetch(ONE) for _ in range(2)))
    with contextlib.suppress(DatabaseUnavailable):
        await db.write(end_all)
    return await asyncio.gather(*(db.fetch(ONE) for _ in range(2)), return_exceptions=True)


async def test_a_read_is_repeated_over_another_connection(postgres: PostgresDatabase) -> None:
    for _ in range(5):
        found = await read_after_restart(postgres)
        assert [one for one in found if isinstance(one, Exception)] == []


async def test_read_once_it_fails_after_a_restart(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(errors, "is_lost", lambda _: False)

    # The pool may have noticed a lost connection before it is used.
    for _ in range(40):
        found = await read_after_restart(postgres)
        if any(isinstance(one, DatabaseUnavailable) for one in found):
            return

    pytest.fail("no read has failed")


# --- connections that hang -----------------------------------------------------------------

POOL = 3
IMPATIENT = Limits(
    deadline_seconds=1.5, acquire_seconds=1.0, statement_seconds=30.0, pool_size=POOL
)


@pytest.fixture
async def wire(postgres_database: str) -> AsyncIterator[tuple[Wire, str]]:
    """A proxy before PostgreSQL, and the URL that leads through it."""
    parts = urlsplit(postgres_database)
    found = Wire(parts.hostname or "127.0.0.1", parts.port or 5432)
    yield found, f"postgresql://127.0.0.1:{await found.open()}{parts.path}"
    await found.close()


async def fill(database: Database) -> None:
    """Opens every connection of the pool."""
    await asyncio.gather(*(read(database, 0.1) for _ in range(POOL)))


async def ask_many(
    database: Database, ask: Callable[[Database], Any], wire: Wire, seconds: float
) -> tuple[int, int, int]:
    """How many were answered, refused, and left without an answer, while one connection hangs."""
    await fill(database)
    wire.hang(1)
    tasks = [asyncio.ensure_future(ask(database)) for _ in range(POOL)]
    done, waiting = await asyncio.wait(tasks, timeout=seconds)
    refused = [one for one in done if isinstance(one.exception(), DatabaseUnavailable)]
    for task in waiting:
        task.cancel()
    return len(done) - len(refused), len(refused), len(waiting)


@pytest.mark.parametrize("ask", [read, write])
async def test_a_connection_that_hangs_is_given_up_and_the_others_serve(
    wire: tuple[Wire, str], ask: Callable[[Database], Any]
) -> None:
    database = await opened(wire[1], IMPATIENT)
    began = time.monotonic()

    found = await ask_many(database, ask, wire[0], seconds=5)
    took = time.monotonic() - began
    await fill(database)  # the pool is as large as before
    await database.close()

    assert found == (POOL - 1, 1, 0)
    assert took < IMPATIENT.deadline_seconds + 1.0


@pytest.mark.parametrize("ask", [read, write])
async def test_waiting_for_the_server_to_cancel_loses_a_connection_of_the_pool(
    wire: tuple[Wire, str], ask: Callable[[Database], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what the driver does by itself."""
    database = await opened(wire[1], IMPATIENT)
    with monkeypatch.context() as patch:
        patch.setattr(postgres_pool, "terminate", lambda _: None)
        patch.setattr("core.db.postgres.terminate", lambda _: None)
        patch.setattr(postgres_pool, "PUT_BACK_SECONDS", 5.0)

        found = await ask_many(database, ask, wire[0], seconds=2.5)
        with pytest.raises(DatabaseUnavailable, match="in time"):
            await asyncio.gather(*(read(database, 1.3) for _ in range(POOL)))
    await wire[0].close()
    database._pool._expire()

    assert found == (POOL - 1, 0, 1)


async def test_nobody_waits_longer_for_a_connection_than_is_set(postgres_database: str) -> None:
    limits = Limits(acquire_seconds=0.2, deadline_seconds=9, statement_seconds=9, pool_size=1)
    database = await opened(postgres_database, limits)

    busy = asyncio.ensure_future(read(database, 2.0))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="no connection in time"):
        await read(database)
    took = time.monotonic() - began
    await busy
    await database.close()

    assert 0.1 < took < 1.5


async def test_a_pool_of_more_connections_serves_both_at_once(postgres_database: str) -> None:
    """The control."""
    database = await opened(postgres_database, Limits(acquire_seconds=1.0, pool_size=2))

    first, second = await asyncio.gather(read(database, 0.5), read(database, 0.5))
    await database.close()

    assert first != second


@pytest.mark.parametrize("is_handed_on", [True, False])
async def test_who_leaves_while_waiting_hands_on_the_connection(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch, is_handed_on: bool
) -> None:
    """Otherwise it is lost to the pool: the control."""
    database = await opened(postgres_database, Limits(acquire_seconds=0.3, pool_size=1))
    pool = database._pool

    async def waited_for() -> postgres_pool.Connection | None:
        future = asyncio.get_running_loop().create_future()
        pool._waiting.append(future)
        return await future

    if not is_handed_on:
        monkeypatch.setattr(pool, "_waited_for", waited_for)
    connection = await pool._acquire()
    waiting = asyncio.create_task(pool._acquire())
    await asyncio.sleep(0)
    pool._put_back(connection)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    if is_handed_on:
        await read(database)
    else:
        with pytest.raises(DatabaseUnavailable, match="no connection in time"):
            await read(database)
        pool._put_back(connection)
    await database.close()


@pytest.mark.parametrize("pool_size", [1, 3])
async def test_callers_who_leave_at_any_moment_cost_no_connection(
    postgres_database: str, pool_size: int
) -> None:
    database = await opened(postgres_database, Limits(pool_size=pool_size))
    for number in range(20):
        leaving = [asyncio.create_task(read(database, 0.005)) for _ in range(8)]
        await asyncio.sleep(number / 1_000)
        for task in leaving[number % 2 :: 2]:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)

    together = await asyncio.gather(*(read(database, 0.2) for _ in range(pool_size)))
    await database.close()

    assert len(set(together)) == pool_size


# --- statements that take long -------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "is_answered"), [(0.2, False), (5.0, True)])
async def test_the_server_ends_a_statement_and_the_connection_stays(
    postgres_database: str, seconds: float, is_answered: bool
) -> None:
    limits = Limits(statement_seconds=seconds, deadline_seconds=5.0, pool_size=1)
    database = await opened(postgres_database, limits)
    before = await read(database)

    if is_answered:
        await read(database, 0.5)
    else:
        with pytest.raises(DatabaseUnavailable, match="57014"):
            await read(database, 0.5)
    after = await read(database)
    await database.close()

    assert before == after


async def test_who_waits_for_a_lock_holds_none_after_its_time(postgres_database: str) -> None:
    """The server rolls back by itself, even if the gateway's process is gone."""
    limits = Limits(statement_seconds=0.3, deadline_seconds=3.0)
    admin, database = (
        await asyncpg.connect(postgres_database),
        await opened(postgres_database, limits),
    )
    await admin.execute(
        "CREATE TABLE spots (id int PRIMARY KEY); INSERT INTO spots VALUES (1), (2)"
    )
    lock = Query(text("SELECT id FROM spots WHERE id = :id FOR UPDATE"))

    async def job(transaction: Transaction) -> None:
        await transaction.fetch(lock, id=1)
        await transaction.fetch(lock, id=2)

    async with admin.transaction():
        await admin.execute("SELECT id FROM spots WHERE id = 2 FOR UPDATE")
        with pytest.raises(DatabaseUnavailable):
            await database.write(job)
        await admin.execute("SELECT id FROM spots WHERE id = 1 FOR UPDATE NOWAIT")
    await database.write(job)
    idle = await database.fetch_one(
        Query(text("SELECT current_setting('idle_in_transaction_session_timeout') AS most"))
    )
    await database.close()
    await admin.execute("DROP TABLE spots")
    await admin.close()

    assert idle is not None
    assert idle["most"] == "3s"


# --- tables that are altered ---------------------------------------------------------------


@pytest.mark.parametrize("is_repeated", [True, False])
async def test_a_job_is_repeated_whose_statement_was_prepared_for_other_tables(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch, is_repeated: bool
) -> None:
    """Not repeated, it fails: the control."""
    admin = await asyncpg.connect(postgres_database)
    database = await opened(postgres_database, Limits(pool_size=1))
    statement = Query(text("SELECT width FROM boards"))

    async def job(transaction: Transaction) -> Any:
        row = await transaction.fetch_one(statement)
        assert row is not None
        return row["width"]

    await admin.execute("CREATE TABLE boards (width int); INSERT INTO boards VALUES (7)")
    assert await database.write(job) == 7
    await admin.execute("ALTER TABLE boards ALTER width TYPE text")
    if is_repeated:
        assert await database.write(job) == "7"
    else:
        monkeypatch.setattr(errors, "is_conflict", lambda _: False)
        with pytest.raises(asyncpg.InvalidCachedStatementError):
            await database.write(job)
    await database.close()
    await admin.execute("DROP TABLE boards")
    await admin.close()
