"""How many statements and pages a change costs on SQLite, its session included."""

from pathlib import Path

import pytest

from core.db.sqlite import SqliteDatabase
from tests.architecture.test_round_trips import CHANGES, sent
from tests.core.test_database import put
from tests.front_end import REFUSAL, SUCCESS, World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

_PAGE, _HEADER, _FRAME_HEADER = 4096, 32, 24
_READS, _WRITES, _PAGES = 3, 6, 8
"""Writes: head, code, card, audit entry, an SMS and a message in the app. Pages: one for each table,
one for the index of active cards, and two for those of the outbox."""


def file_of(world: World) -> Path:
    url = world.application.dependencies.settings.database_url
    return Path(url.removeprefix("sqlite:///"))


async def pages_in_the_log(database: SqliteDatabase, path: Path) -> int:
    """How many pages were written since the last call, which empties the write-ahead log."""
    written = path.with_name(f"{path.name}-wal").stat().st_size - _HEADER
    await database._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    return written // (_FRAME_HEADER + _PAGE)


@pytest.mark.parametrize("mutation", ["reportLoss", "cancelLoss"])
async def test_a_change_takes_few_statements_and_pages(world: World, mutation: str) -> None:
    persona, form, _ = CHANGES[mutation]
    citizen = await world.enter(persona)
    database = world.application.database
    assert isinstance(database, SqliteDatabase)
    name, given = mutation[0].upper() + mutation[1:], await form(world, citizen)
    document = (
        f"mutation($i: {name}Input!)"
        f" {{ {mutation}(input: $i) {{ __typename ... on {SUCCESS[mutation]} {{ __typename }} {REFUSAL} }} }}"
    )
    await citizen.post(document, {"i": given | {"phone": ""}})
    path = file_of(world)

    async def change() -> None:
        await pages_in_the_log(database, path)
        answer = await citizen.ask(document, i=given)
        assert answer["__typename"] == SUCCESS[mutation], answer

    statements = [text for text in await sent(world, change) if not text.startswith("PRAGMA")]
    pages = await pages_in_the_log(database, path)

    kinds = [text.split()[0] for text in statements]
    assert kinds.count("SELECT") == _READS, statements
    assert kinds.count("UPDATE") + kinds.count("INSERT") == _WRITES, statements
    assert set(kinds) == {"SELECT", "UPDATE", "INSERT", "BEGIN", "COMMIT"}
    assert pages == _PAGES


async def test_the_counter_of_pages_counts(world: World) -> None:
    """The control: one row is one page."""
    database, path = world.application.database, file_of(world)
    assert isinstance(database, SqliteDatabase)

    async def one_row() -> None:
        await pages_in_the_log(database, path)
        await database.write(lambda db: put(db, "a"))

    await sent(world, one_row)

    assert await pages_in_the_log(database, path) == 1
