"""The migrations lead to the tables that the code declares."""

import re
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from core import migrations
from core.migrations.tables import TABLES, metadata


async def test_the_newest_revision_is_what_the_code_declares(database_url: str) -> None:
    engine = migrations.engine(database_url)
    async with engine.connect() as connection:
        differences = await connection.run_sync(compared)
    await engine.dispose()

    assert differences == []


def compared(connection: Connection) -> list[Any]:
    opts = {"include_object": is_declared}
    return list(compare_metadata(MigrationContext.configure(connection, opts=opts), metadata))


def is_declared(found: Any, name: str | None, kind: str, *_: Any) -> bool:
    """All but partitions, and PostgreSQL's own constraints that lead to one."""
    if kind == "foreign_key_constraint":
        name = found.elements[0].target_fullname.partition(".")[0]
    return not re.fullmatch(r"\w+_p[0-9]+", name or "")


async def test_the_database_of_the_tests_is_at_the_newest_revision(database_url: str) -> None:
    assert (await migrations.state(database_url)).revision == migrations.HEAD


def test_there_is_one_head(sqlite_url: str) -> None:
    script = ScriptDirectory.from_config(migrations.alembic_config(sqlite_url))

    assert script.get_heads() == [migrations.HEAD]


def test_no_table_is_forgotten() -> None:
    assert {table.name for table in TABLES} == set(metadata.tables)
