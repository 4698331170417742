"""Queries, transactions and group commit, on both databases."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import pytest
from sqlalchemy import bindparam, select, text, update

from core.citizens import consents_table, quotas_table
from core.db import (
    Database,
    DatabaseUnavailable,
    Query,
    Transaction,
    UniqueViolation,
    connect,
    fetch_in,
    in_batch,
    insert_into,
)
from core.db.sqlite import SqliteDatabase
from core.jobs import scheduled_jobs_table

INSERT = insert_into(quotas_table)
ALL = Query(select(quotas_table.c.key).order_by(quotas_table.c.key))
INSERT_JOB = insert_into(scheduled_jobs_table)
RENAME_JOB = Query(
    update(scheduled_jobs_table)
    .where(scheduled_jobs_table.c.name == "a")
    .values(name=bindparam("new_name"))
)
ONE = Query(select(quotas_table).where(quotas_table.c.key == bindparam("key")))


class Refused(Exception):
    pass


async def put(db: Transaction, key: str) -> None:
    await db.fetch(INSERT, key=key.encode(), times="[]", last_at=1)


async def keys(db: Database) -> list[str]:
    return [bytes(row["key"]).decode() for row in await db.fetch(ALL)]


@asynccontextmanager
async def statements_of(db: SqliteDatabase) -> AsyncIterator[list[str]]:
    """The statements that SQLite's writer executes."""
    seen: list[str] = []
    await db._writer.set_trace_callback(seen.append)
    yield seen
    await db._writer.set_trace_callback(None)  # type: ignore[arg-type]


async def test_a_job_returns_its_result_after_it_is_committed(db: Database) -> None:
    async def job(transaction: Transaction) -> str:
        await put(transaction, "a")
        row = await transaction.fetch_one(ONE, key=b"a")
        assert row is not None
        return str(row["times"])

    assert await db.write(job) == "[]"
    assert await keys(db) == ["a"]


async def test_a_job_that_raises_is_rolled_back(db: Database) -> None:
    async def job(transaction: Transaction) -> None:
        await put(transaction, "a")
        raise Refused

    with pytest.raises(Refused):
        await db.write(job)

    assert await keys(db) == []


@pytest.mark.parametrize(("length", "is_kept"), [(32, True), (33, False)])
async def test_a_text_longer_than_its_column_is_an_error(
    db: Database, length: int, is_kept: bool
) -> None:
    """Retrying would not help: it is neither a unique violation nor an unavailable database."""

    async def job(transaction: Transaction) -> None:
        await put(transaction, "a")
        name = "名" * length
        await transaction.fetch(INSERT_JOB, name=name, due_at=1, leased_until=0)

    if is_kept:
        await db.write(job)
    else:
        with pytest.raises((sqlite3.IntegrityError, asyncpg.StringDataRightTruncationError)):
            await db.write(job)

    assert await keys(db) == (["a"] if is_kept else [])


async def test_a_text_cannot_be_updated_beyond_its_column(db: Database) -> None:
    async def job(transaction: Transaction) -> None:
        await transaction.fetch(INSERT_JOB, name="a", due_at=1, leased_until=0)
        await transaction.fetch(RENAME_JOB, new_name="a" * 33)

    with pytest.raises((sqlite3.IntegrityError, asyncpg.StringDataRightTruncationError)):
        await db.write(job)


async def test_of_many_rows_none_is_stored_if_one_is_too_long(db: Database) -> None:
    rows = [{"name": name, "due_at": 1, "leased_until": 0} for name in ("a", "b" * 33)]

    async def job(transaction: Transaction) -> None:
        await put(transaction, "a")
        await transaction.execute_many(INSERT_JOB, rows)

    with pytest.raises((sqlite3.IntegrityError, asyncpg.StringDataRightTruncationError)):
        await db.write(job)

    assert await keys(db) == []


async def test_a_reader_does_not_see_what_is_not_committed(db: Database) -> None:
    seen: list[list[str]] = []

    async def job(transaction: Transaction) -> None:
        await put(transaction, "a")
        if not isinstance(db, SqliteDatabase):
            seen.append(await keys(db))

    await db.write(job)

    assert seen in ([], [[]])
    assert await keys(db) == ["a"]


async def test_two_hundred_concurrent_writes_are_all_stored(db: Database) -> None:
    async def write(number: int) -> int:
        async def job(transaction: Transaction) -> int:
            await put(transaction, f"{number:03}")
            return number

        return await db.write(job)

    acknowledged = await asyncio.gather(*(write(number) for number in range(200)))

    assert acknowledged == list(range(200))
    assert await keys(db) == [f"{number:03}" for number in range(200)]


async def test_the_same_key_twice_is_a_unique_violation(db: Database) -> None:
    async def job(transaction: Transaction) -> None:
        await put(transaction, "a")

    await db.write(job)

    with pytest.raises(UniqueViolation):
        await db.write(job)
    assert await keys(db) == ["a"]


async def test_a_row_of_nobody_is_refused(db: Database) -> None:
    async def job(transaction: Transaction) -> None:
        await transaction.fetch(
            insert_into(consents_table), subject_id=4711, notice_version="1", given_at=1
        )

    with pytest.raises((sqlite3.IntegrityError, asyncpg.ForeignKeyViolationError)):
        await db.write(job)


async def test_finds_each_of_more_values_than_one_statement_takes(db: Database) -> None:
    wanted = [f"{number}".encode() for number in range(1_001)]

    async def job(transaction: Transaction) -> None:
        for key in ("0", "499", "500", "1000"):
            await put(transaction, key)

    await db.write(job)

    found = await fetch_in(
        db, Query(select(quotas_table).where(in_batch(quotas_table.c.key))), wanted
    )

    assert sorted(int(row["key"]) for row in found) == [0, 499, 500, 1000]


async def test_of_many_that_write_the_same_key_one_wins(db: Database) -> None:
    async def job(transaction: Transaction) -> None:
        await put(transaction, "a")

    outcomes = await asyncio.gather(*(db.write(job) for _ in range(20)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes if outcome] == [UniqueViolation] * 19
    assert await keys(db) == ["a"]


async def test_a_refused_job_does_not_affect_others(db: Database) -> None:
    async def write(number: int) -> None:
        async def job(transaction: Transaction) -> None:
            await put(transaction, f"{number:02}")
            if number % 3 == 0:
                raise Refused
            if number % 3 == 1:
                await put(transaction, f"{number:02}")

        await db.write(job)

    outcomes = await asyncio.gather(
        *(write(number) for number in range(30)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [Refused, UniqueViolation, type(None)] * 10
    assert await keys(db) == [f"{number:02}" for number in range(2, 30, 3)]


async def test_a_write_completes_after_its_caller_is_cancelled(db: Database) -> None:
    async def job(transaction: Transaction) -> None:
        await put(transaction, "a")

    async def after(transaction: Transaction) -> None:
        await put(transaction, "b")

    gone = asyncio.create_task(db.write(job))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone

    await db.write(after)

    assert "b" in await keys(db)


async def test_a_database_that_was_closed_waits_for_its_last_jobs(database_url: str) -> None:
    database = await connect(database_url)

    async def job(transaction: Transaction) -> None:
        await put(transaction, "a")

    last = asyncio.create_task(database.write(job))
    await asyncio.sleep(0)
    await last
    await database.close()

    assert await read_after_reopening(database_url) == ["a"]


# --- SQLite --------------------------------------------------------------------------------


async def test_writes_that_wait_share_a_commit(sqlite: SqliteDatabase) -> None:
    async def write(number: int) -> None:
        async def job(transaction: Transaction) -> None:
            await put(transaction, f"{number:03}")

        await sqlite.write(job)

    async with statements_of(sqlite) as seen:
        await asyncio.gather(*(write(number) for number in range(200)))

    commits = [statement for statement in seen if statement == "COMMIT"]
    assert 1 <= len(commits) <= 10
    assert seen.count("BEGIN IMMEDIATE") == len(commits)


async def test_a_write_alone_has_a_commit_of_its_own(sqlite: SqliteDatabase) -> None:
    async def job(transaction: Transaction) -> None:
        await put(transaction, "a")

    async with statements_of(sqlite) as seen:
        await sqlite.write(job)

    assert seen.count("COMMIT") == 1


async def test_a_job_that_awaits_something_else_is_refused_clearly(sqlite: SqliteDatabase) -> None:
    async def job(transaction: Transaction) -> None:
        await put(transaction, "a")
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="awaited something outside the database"):
        await sqlite.write(job)

    assert await keys(sqlite) == []


async def test_the_file_is_journalled_and_synced_in_full(
    sqlite: SqliteDatabase, sqlite_url: str
) -> None:
    found: dict[str, set[Any]] = {}
    for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout"):
        pragma = Query(text(f"PRAGMA {name}"))
        for connection in (sqlite._writer, *sqlite._readers):
            rows = await connection.execute_fetchall(pragma.compiled(sqlite.dialect)[0])
            found.setdefault(name, set()).update(value for row in rows for value in tuple(row))

    assert found == {
        "journal_mode": {"wal"},
        "synchronous": {2},
        "foreign_keys": {1},
        "busy_timeout": {2000},
    }


async def test_waits_for_the_lock_of_another_process(
    sqlite: SqliteDatabase, sqlite_url: str
) -> None:
    async def job(transaction: Transaction) -> None:
        await put(transaction, "a")

    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(sqlite.write(job))
    await asyncio.sleep(0.1)
    assert not writing.done()

    other.execute("COMMIT")
    other.close()
    await writing

    assert await keys(sqlite) == ["a"]


async def test_a_full_disk_refuses_cleanly_and_recovers(sqlite: SqliteDatabase) -> None:
    async def big(transaction: Transaction) -> None:
        await transaction.fetch(INSERT, key=b"big", times="x" * 2_000_000, last_at=1)

    async def small(transaction: Transaction) -> None:
        await put(transaction, "a")

    pages = await sqlite._writer.execute_fetchall("PRAGMA page_count")
    await sqlite._writer.execute_fetchall(f"PRAGMA max_page_count = {next(iter(pages))[0] + 4}")

    with pytest.raises(DatabaseUnavailable):
        await sqlite.write(big)
    await sqlite._writer.execute_fetchall("PRAGMA max_page_count = 1073741823")
    await sqlite.write(small)

    assert await keys(sqlite) == ["a"]


async def test_a_full_disk_does_not_acknowledge_those_in_the_same_commit(
    sqlite: SqliteDatabase,
) -> None:
    async def small(transaction: Transaction) -> None:
        await put(transaction, "a")

    async def big(transaction: Transaction) -> None:
        await transaction.fetch(INSERT, key=b"big", times="x" * 2_000_000, last_at=1)

    pages = await sqlite._writer.execute_fetchall("PRAGMA page_count")
    await sqlite._writer.execute_fetchall(f"PRAGMA max_page_count = {next(iter(pages))[0] + 4}")

    outcomes = await asyncio.gather(sqlite.write(small), sqlite.write(big), return_exceptions=True)

    acknowledged = ["a"] if outcomes[0] is None else []
    assert isinstance(outcomes[1], DatabaseUnavailable)
    assert await keys(sqlite) == acknowledged


async def test_a_corrupt_file_is_unavailable(sqlite: SqliteDatabase, sqlite_url: str) -> None:
    with open(sqlite_url.removeprefix("sqlite:///"), "r+b") as file:  # noqa: ASYNC230
        file.write(b"garbage" * 10_000)

    with pytest.raises(DatabaseUnavailable):
        await read_after_reopening(sqlite_url)


async def read_after_reopening(database_url: str) -> list[str]:
    database = await connect(database_url)
    try:
        return await keys(database)
    finally:
        await database.close()


# --- reads in one batch --------------------------------------------------------------------


WRONG = Query(text("SELECT * FROM nowhere"))


async def test_reads_of_one_loop_iteration_share_a_batch(sqlite: SqliteDatabase) -> None:
    await sqlite.write(lambda db: put(db, "a"))
    hops = 0
    for reader in sqlite._readers:
        commit = reader.commit

        async def counted(commit: Callable[[], Awaitable[None]] = commit) -> None:
            nonlocal hops
            hops += 1
            await commit()

        reader.commit = counted  # type: ignore[method-assign]

    found = await asyncio.gather(*(sqlite.fetch(ONE, key=b"a") for _ in range(50)))

    assert all(rows[0]["key"] == b"a" for rows in found)
    assert hops == 1


SLOW = Query(
    text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000000)"
        " SELECT count(*) AS count FROM n"
    )
)


@pytest.mark.slow
async def test_a_slow_read_does_not_delay_others(sqlite: SqliteDatabase) -> None:
    await sqlite.write(lambda db: put(db, "a"))
    slow = asyncio.ensure_future(sqlite.fetch(SLOW))
    await asyncio.sleep(0)

    for _ in range(3):
        rows = await sqlite.fetch(ONE, key=b"a")
        assert rows[0]["key"] == b"a"

    assert not slow.done()
    await slow


@pytest.mark.slow
async def test_reads_recover_after_a_slow_one(sqlite: SqliteDatabase) -> None:
    await sqlite.write(lambda db: put(db, "a"))

    async def ask(times: int) -> int:
        return sum([len(await sqlite.fetch(ONE, key=b"a")) for _ in range(times)])

    async def ask_slowly() -> int:
        return int((await sqlite.fetch(SLOW))[0]["count"])

    slow, *found = await asyncio.wait_for(
        asyncio.gather(ask_slowly(), *(ask(50) for _ in range(20))), 60
    )

    assert slow == 5_000_000
    assert found == [50] * 20


async def test_a_failing_read_does_not_affect_others(sqlite: SqliteDatabase) -> None:
    await sqlite.write(lambda db: put(db, "a"))

    before, wrong, after = await asyncio.gather(
        sqlite.fetch(ONE, key=b"a"),
        sqlite.fetch(WRONG),
        sqlite.fetch(ONE, key=b"a"),
        return_exceptions=True,
    )

    assert isinstance(wrong, DatabaseUnavailable)
    assert before == after != []


async def test_a_reader_continues_after_a_caller_is_cancelled(sqlite: SqliteDatabase) -> None:
    gone = asyncio.ensure_future(sqlite.fetch(ONE, key=b"a"))
    stays = asyncio.ensure_future(sqlite.fetch(ONE, key=b"a"))
    await asyncio.sleep(0)
    gone.cancel()

    assert await asyncio.wait_for(stays, 5) == []
    assert await asyncio.wait_for(sqlite.fetch(ONE, key=b"a"), 5) == []


async def test_reads_see_earlier_writes(sqlite: SqliteDatabase) -> None:
    for number in range(20):
        key = f"k{number}"
        await sqlite.write(partial(put, key=key))
        assert len(await sqlite.fetch(ONE, key=key.encode())) == 1
