"""Errors are judged by their SQLSTATE: repeated, told to the programmer, or "try again later"."""

import string
from collections.abc import AsyncIterator

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from core.db import Database, DatabaseUnavailable, Query, Transaction, UniqueViolation, connect
from core.db import postgres_errors as errors

SQLSTATES = {
    str(found.__dict__.get("sqlstate", "00000"))
    for found in vars(asyncpg.exceptions).values()
    if isinstance(found, type) and issubclass(found, asyncpg.PostgresError)
} - {"00000", "None"}
CONFLICTS = {"23505", "22012", "40001", "40P01", "55P03"}
PRIVILEGE, DUPLICATE_STATEMENT = "42501", "42P05"
RAISE = Query(text("SELECT raise_state(:state)"))
CALLS = Query(text("SELECT last_value AS n FROM calls"))


def outcome(state: str) -> type[Exception]:
    """What a caller of `Database.write` is to get."""
    if state == "23505":
        return UniqueViolation
    if state in CONFLICTS | {PRIVILEGE, DUPLICATE_STATEMENT}:
        return DatabaseUnavailable
    if state[:2] in {"0A", "21", "22", "23", "42"}:
        return asyncpg.PostgresError
    return DatabaseUnavailable


@pytest.fixture
async def raising(postgres_database: str) -> AsyncIterator[Database]:
    """A database with a function that raises any SQLSTATE, and counts how often it is called."""
    admin = await asyncpg.connect(postgres_database)
    await admin.execute(
        "CREATE SEQUENCE calls; SELECT nextval('calls'); CREATE FUNCTION raise_state(state text) RETURNS void"
        " LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('calls');"
        " RAISE EXCEPTION 'not now' USING ERRCODE = state; END $$"
    )
    database = await connect(postgres_database)
    yield database
    await database.close()
    await admin.execute("DROP FUNCTION raise_state; DROP SEQUENCE calls")
    await admin.close()


async def calls(database: Database) -> int:
    row = await database.fetch_one(CALLS)
    assert row is not None
    return int(row["n"])


async def test_every_sqlstate_of_the_server_is_judged(raising: Database) -> None:
    wrong = {}
    before = await calls(raising)
    for state in sorted(SQLSTATES):

        async def job(transaction: Transaction, state: str = state) -> None:
            await transaction.fetch(RAISE, state=state)

        try:
            await raising.write(job)
        except Exception as error:
            tries = await calls(raising) - before
            before += tries
            expected = outcome(state), 3 if state in CONFLICTS else 1
            if not isinstance(error, expected[0]) or tries != expected[1]:
                wrong[state] = error, tries

    assert len(SQLSTATES) > 250
    assert wrong == {}


async def test_a_read_is_repeated_only_where_a_connection_or_node_is_lost(
    raising: Database,
) -> None:
    for state, tries in {"08006": 3, "57P01": 3, "57014": 1, "XX000": 1, "53300": 1}.items():
        before = await calls(raising)
        with pytest.raises(DatabaseUnavailable, match=state):
            await raising.fetch(RAISE, state=state)
        assert await calls(raising) - before == tries


async def test_the_reason_does_not_quote_the_server(raising: Database) -> None:
    with pytest.raises(DatabaseUnavailable) as raised:
        await raising.fetch(RAISE, state="53200")

    assert str(raised.value) == "OutOfMemoryError 53200"


@given(
    st.text(string.digits + string.ascii_uppercase, min_size=5, max_size=5)
    | st.sampled_from(["0A0Z9", "22Z99", "23Z99", "42Z99", "40Z99", *sorted(SQLSTATES)])
)
def test_a_state_that_nobody_knows_is_unavailable(state: str) -> None:
    error = asyncpg.PostgresError.new({"C": state, "M": "not now"})

    known = state in SQLSTATES and (outcome(state) is not DatabaseUnavailable or state in CONFLICTS)

    assert isinstance(errors.translated(error), DatabaseUnavailable) != known


@pytest.mark.parametrize(
    "error",
    [
        OSError(),
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("got result for unknown protocol state"),
        asyncpg.ConnectionDoesNotExistError("closed in the middle of operation"),
        asyncpg.TargetServerAttributeNotMatched("none"),
        ValueError("what no list would have"),
    ],
)
def test_what_has_no_state_is_unavailable(error: Exception) -> None:
    assert isinstance(errors.translated(error), DatabaseUnavailable)


@pytest.mark.parametrize(
    ("state", "severity", "ends"),
    [
        ("57P01", "FATAL", True),
        ("25P03", "FATAL", True),
        ("08006", "ERROR", False),
        ("23505", "ERROR", False),
        ("08003", None, True),
    ],
)
def test_a_node_that_is_lost_does_not_cost_the_connection(
    state: str, severity: str | None, ends: bool
) -> None:
    error = asyncpg.PostgresError.new({"C": state, "M": "not now", "V": severity})

    assert errors.ends_connection(error) == ends
