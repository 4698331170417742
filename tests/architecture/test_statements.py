"""How many SQL statements a request costs, its session included; counted at the drivers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core.db import Database
from core.db.postgres import PostgresDatabase
from core.db.sqlite import SqliteDatabase
from tests.front_end import World

MAX_STATEMENTS = 1
NOISE = ("outbox", "scheduled_jobs", "production_changes", "INTO audit_", "FROM audit_heads")
"""The worker, the scheduler, the watch and the writer of the access log work by themselves."""
FRAME = ("BEGIN", "SAVEPOINT", "RELEASE", "COMMIT")


@asynccontextmanager
async def counted(database: Database) -> AsyncIterator[list[str]]:
    seen: list[str] = []
    if isinstance(database, SqliteDatabase):
        connections = [database._writer, *database._readers]
        for connection in connections:
            await connection.set_trace_callback(seen.append)
        yield seen
        for connection in connections:
            await connection.set_trace_callback(None)  # type: ignore[arg-type]
        return
    assert isinstance(database, PostgresDatabase)

    def note(record: Any) -> None:
        seen.append(record.query)

    pooled = list(database._pool._connections)
    for connected in pooled:
        connected.add_query_logger(note)
    yield seen
    await asyncio.sleep(0)  # the driver tells of the last one in the next turn
    for connected in pooled:
        if not connected.is_closed():
            connected.remove_query_logger(note)


def of_the_request(statements: list[str]) -> list[str]:
    return [
        text
        for text in statements
        if not text.startswith(FRAME) and not any(word in text for word in NOISE)
    ]


@pytest.mark.parametrize(
    ("persona", "document"),
    [
        (
            "active",
            "{ cardStatus { __typename ... on CardStatus { name state homeRegion bank } } }",
        ),
        (
            "in-production",
            "{ productionProgress { __typename ... on ProductionProgress { name nodes { node at } } } }",
        ),
        ("active", "{ viewer { name phone card { cardNumber } services { service available } } }"),
    ],
    ids=["cardStatus", "productionProgress", "viewer"],
)
async def test_a_lookup_takes_one_statement(world: World, persona: str, document: str) -> None:
    citizen = await world.enter(persona)
    await citizen.inbox()
    await citizen.ask(document)

    async with counted(world.application.database) as statements:
        await citizen.ask(document)

    found = of_the_request(statements)
    assert 1 <= len(found) <= MAX_STATEMENTS, found


async def test_a_refused_lookup_takes_another_for_the_next_step(world: World) -> None:
    citizen = await world.enter("no-card")
    await citizen.inbox()
    document = "{ cardStatus { __typename ... on Refusal { code nextStep { service } } } }"
    await citizen.ask(document)

    async with counted(world.application.database) as statements:
        await citizen.ask(document)

    assert len(of_the_request(statements)) == MAX_STATEMENTS + 1


async def test_what_needs_no_session_takes_no_statement(world: World) -> None:
    citizen = world.front_end("active")

    async with counted(world.application.database) as statements:
        await citizen.ask("{ channels { name entrySteps { title } } }")
        await citizen.ask('{ outlets(districtCode: "510104") { name } }')

    assert of_the_request(statements) == []


async def test_the_counter_counts(world: World) -> None:
    """The control: a change takes many statements, and they are seen."""
    citizen = await world.enter("active")

    async with counted(world.application.database) as statements:
        await citizen.do("changeContact", residentialPostalCode="610000")

    assert len(of_the_request(statements)) > MAX_STATEMENTS
