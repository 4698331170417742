"""A commit whose answer is lost: its outcome is unknown, and a citizen is told so."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from sqlalchemy import select, text

from core.citizens import quotas_table
from core.db import (
    CommitUnknown,
    Database,
    DatabaseUnavailable,
    Limits,
    Query,
    Transaction,
    Writes,
    connect,
    insert_into,
)
from core.db import postgres_errors as errors
from tests.conftest import ADDRESS, limits_as_settings, running, settings_for
from tests.database_faults import Wire
from tests.front_end import REFUSAL, FrontEnd, World

ADD = insert_into(quotas_table)
KEYS = Query(select(quotas_table.c.key).order_by(quotas_table.c.key))
IMPATIENT = Limits(deadline_seconds=1.5, acquire_seconds=1.0, statement_seconds=30.0)
CHANGE = (
    "mutation($i: ChangeContactInput!) { changeContact(input: $i) { __typename"
    f" ... on ContactChanged {{ at }} {REFUSAL} }} }}"
)


async def kept(db: Database) -> list[bytes]:
    return [bytes(row["key"]) for row in await db.fetch(KEYS)]


async def put(db: Database, key: bytes) -> None:
    writes = Writes()
    writes.add(ADD, key=key, times="[]", last_at=1)
    await db.apply(writes)


async def put_several(db: Database, key: bytes) -> None:
    """In a transaction of its own."""
    writes = Writes()
    writes.see_each_other = True
    writes.add(ADD, key=key, times="[]", last_at=1)
    await db.apply(writes)


async def put_by_job(db: Database, key: bytes) -> None:
    async def job(transaction: Transaction) -> None:
        await transaction.fetch(ADD, key=key, times="[]", last_at=1)

    await db.write(job)


PUTS = {put: (b"marked",), put_several: (b"COMMIT",), put_by_job: (b"COMMIT",)}


@pytest.fixture
async def wire(postgres_database: str) -> AsyncIterator[tuple[Wire, str]]:
    """A proxy before PostgreSQL, and the URL that leads through it."""
    parts = urlsplit(postgres_database)
    found = Wire(parts.hostname or "127.0.0.1", parts.port or 5432)
    yield found, f"postgresql://127.0.0.1:{await found.open()}{parts.path}"
    await found.close()


@pytest.fixture
async def wired(wire: tuple[Wire, str]) -> AsyncIterator[Database]:
    database = await connect(wire[1], IMPATIENT)
    yield database
    await database.close()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("change", PUTS)
@pytest.mark.parametrize("delivered", [True, False], ids=["lost answer", "lost question"])
async def test_without_an_answer_the_outcome_is_unknown(
    database_url: str, wire: tuple[Wire, str], wired: Database, change: Any, delivered: bool
) -> None:
    """From here both look the same: it is written, or it is not."""
    await change(wired, b"first")

    with wire[0].cutting(*PUTS[change], delivered=delivered), pytest.raises(CommitUnknown):
        await change(wired, b"marked")

    await asyncio.sleep(0.1)
    assert (b"marked" in await kept(wired)) == delivered


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("change", [put_several, put_by_job])
async def test_what_was_lost_before_the_commit_is_known(
    database_url: str, wire: tuple[Wire, str], wired: Database, change: Any
) -> None:
    """The control: without its commit a transaction has written nothing."""
    await change(wired, b"first")

    with wire[0].cutting(b"marked"), pytest.raises(DatabaseUnavailable) as raised:
        await change(wired, b"marked")

    assert not isinstance(raised.value, CommitUnknown)
    assert await kept(wired) == [b"first"]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_statement_that_the_server_undid_is_known(
    database_url: str, wired: Database
) -> None:
    """The other control: the server itself says so."""
    fail = "BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '53100'; END"
    set_up = (
        f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ {fail} $$",
        "CREATE TRIGGER fail BEFORE INSERT ON quotas EXECUTE FUNCTION fail()",
    )
    for statement in set_up:
        await wired.fetch(Query(text(statement)))
    try:
        with pytest.raises(DatabaseUnavailable, match="53100") as raised:
            await put(wired, b"marked")
    finally:
        await wired.fetch(Query(text("DROP FUNCTION fail CASCADE")))

    assert not isinstance(raised.value, CommitUnknown)
    assert await kept(wired) == []


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_commit_that_hangs_is_unknown(
    database_url: str, wire: tuple[Wire, str], wired: Database
) -> None:
    async def job(transaction: Transaction) -> None:
        await transaction.fetch(ADD, key=b"marked", times="[]", last_at=1)
        wire[0].hang(1)

    await put(wired, b"first")
    with pytest.raises(CommitUnknown):
        await wired.write(job)

    assert await kept(wired) == [b"first"]


def test_an_error_that_undoes_a_statement_leaves_nothing_unknown() -> None:
    def of(state: str, severity: str = "ERROR") -> bool:
        return errors.leaves_unknown(
            asyncpg.PostgresError.new({"C": state, "M": "not now", "V": severity})
        )

    assert [of(state) for state in ("53100", "57014", "23505", "XX000", "40001")] == [False] * 5
    assert [of(state) for state in ("08006", "40003", "57P01")] == [True] * 3
    assert of("53100", "PANIC")
    assert errors.leaves_unknown(ConnectionResetError())


async def test_on_sqlite_only_what_has_begun_is_unknown(sqlite_url: str) -> None:
    database = await connect(sqlite_url, Limits(deadline_seconds=0.5))
    other = sqlite3.connect(
        sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    first = asyncio.create_task(put(database, b"begun"))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(put(database, b"not begun"))
    begun, waiting = await asyncio.gather(first, second, return_exceptions=True)
    other.execute("ROLLBACK")
    other.close()
    await database.close()

    assert isinstance(begun, CommitUnknown)
    assert type(waiting) is DatabaseUnavailable


# --- what a citizen is told ----------------------------------------------------------------


@pytest.fixture
async def citizen(
    database_url: str, wire: tuple[Wire, str], tmp_path: Path
) -> AsyncIterator[FrontEnd]:
    settings = settings_for(wire[1], tmp_path, **limits_as_settings(IMPATIENT))
    async with running(settings) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http:
            yield await World(http, app.state.application).enter("active")


async def change_contact(citizen: FrontEnd, key: str) -> dict[str, Any]:
    given = {"i": {"residentialPostalCode": "610000"}}
    response = await citizen.post(CHANGE, given, **{"Idempotency-Key": key})
    answer: dict[str, Any] = response.json()["data"]["changeContact"]
    return answer


async def entries(database_url: str) -> int:
    database = await connect(database_url)
    count = "SELECT count(*) AS n FROM audit_entries WHERE action = 'CHANGE_CONTACT'"
    row = await database.fetch_one(Query(text(count)))
    await database.close()
    assert row is not None
    return int(row["n"])


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("delivered", [True, False], ids=["lost answer", "lost question"])
async def test_a_citizen_is_told_that_nobody_knows_and_the_same_request_tells(
    database_url: str, wire: tuple[Wire, str], citizen: FrontEnd, delivered: bool
) -> None:
    before = await entries(database_url)

    with wire[0].cutting(b"CHANGE_CONTACT", delivered=delivered):
        told = await change_contact(citizen, "key-1")
    await asyncio.sleep(0.1)
    meanwhile = await entries(database_url)
    again = await change_contact(citizen, "key-1")

    assert told["code"] == "OUTCOME_UNKNOWN"
    assert "没有生效" not in told["message"]
    assert "先查询" in told["message"]
    assert meanwhile - before == (1 if delivered else 0)
    assert again["__typename"] == "ContactChanged"
    assert await entries(database_url) - before == 1
