"""Many events in any order, with repeats, come to the same end as in order once.

`tests/soak/issuer_events.py` does the same with 100,000.
"""

import random
from typing import Any

import pytest

from core.db import Query
from core.kernel.clock import DAY
from core.migrations.tables import TABLES
from core.services import issuer_events
from gateway.http.endpoints import apply_all, read_events
from tests.front_end import World
from tests.services.test_issuer_events import body_of
from tests.soak import issuer_events as day

PEOPLE = 40


async def take(world: World, sent: list[dict[str, Any]], most: int) -> None:
    """In batches of random sizes."""
    draw = random.Random(most)
    while sent:
        size = draw.randint(1, most)
        await apply_all(world.application, read_events(body_of(*sent[:size])))
        sent = sent[size:]


async def prepared(world: World) -> list[dict[str, Any]]:
    now = world.application.clock()
    now -= now % DAY
    found = day.holders(PEOPLE)
    await day.register(
        world.application.database, world.application.dependencies.vault, now - 90 * DAY, found
    )
    return day.all_events((holder for _, holder in found), now - 80 * DAY, seed=7)


async def end(world: World) -> dict[str, Any]:
    application = world.application
    return await day.end_state(
        application.database, application.dependencies.vault, application.clock()
    )


async def in_order(world: World) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The events, and what they come to; the people are as new again afterwards."""
    events = await prepared(world)
    await take(world, list(events), most=30)
    return events, await end(world)


@pytest.mark.parametrize("seed", [1, 2])
async def test_any_order_comes_to_the_same_end(world: World, seed: int) -> None:
    events, once = await in_order(world)
    await forget(world)
    assert await prepared(world) == events

    await take(world, day.shuffled(events, seed), most=30)

    assert await end(world) == once
    outcomes = {outcome for name, outcome in once.items() if name.startswith("event ")}
    assert outcomes == {"TAKEN", "CONTRADICTION", "WAITING"}


async def test_without_memory_it_does_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: each batch is told from its own events alone."""
    events, once = await in_order(world)
    await forget(world)
    await prepared(world)

    real = issuer_events._gather

    async def only_new(*arguments: Any) -> Any:
        subjects = await real(*arguments)
        for subject in subjects.values():
            subject.events.clear()
        return subjects

    monkeypatch.setattr(issuer_events, "_gather", only_new)

    await take(world, day.shuffled(events, 1), most=30)

    assert await end(world) != once


async def forget(world: World) -> None:
    """Removes the people of the first time, whose numbers the second time uses again."""
    tables = (
        "production_changes",
        "production_nodes",
        "production_orders",
        "applications",
        "cards",
        "issuer_events",
        "claims",
        "citizens",
    )
    by_name = {table.name: table for table in TABLES}

    async def job(db: Any) -> None:
        for name in (*await dependents(by_name), *tables):
            await db.fetch(Query(by_name[name].delete()))

    await world.application.database.write(job)


async def dependents(tables: dict[str, Any]) -> list[str]:
    """What else refers to citizens: the personas' own rows."""
    return [
        name
        for name, table in tables.items()
        if name not in ("applications", "production_orders", "cards", "citizens")
        and any(
            key.column.table.name in ("citizens", "applications", "cards")
            for key in table.foreign_keys
        )
    ]
