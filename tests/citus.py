"""A database on Citus whose tables are split as their keys say.

`TEST_CITUS_URL` names the coordinator, without a database; its workers are asked from it.
"""

import asyncio
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import asyncpg

from core import migrations
from core.migrations.tables import TABLES
from tests.architecture.by_person import is_of_persons, split_column

URL = os.environ.get("TEST_CITUS_URL", "")
_NODES = "SELECT nodename, nodeport FROM pg_dist_node WHERE noderole = 'primary' AND groupid > 0"


@contextmanager
def database() -> Iterator[str]:
    """With our tables, split. Dropped afterwards."""
    with empty_database() as url:
        migrations.migrate(url)
        asyncio.run(_split(url))
        yield url


@contextmanager
def empty_database() -> Iterator[str]:
    name = f"card_gateway_citus_{uuid.uuid4().hex[:12]}"
    asyncio.run(_create(name))
    try:
        yield f"{URL}/{name}"
    finally:
        asyncio.run(_drop(name))


async def _create(name: str) -> None:
    workers = await _workers()
    for node in (URL, *workers):
        await _run(f"{node}/postgres", f"CREATE DATABASE {name}")
        await _run(f"{node}/{name}", "CREATE EXTENSION citus")
    host, port = _host(URL)
    await _run(f"{URL}/{name}", f"SELECT citus_set_coordinator_host('{host}', {port})")
    for node in workers:
        host, port = _host(node)
        await _run(f"{URL}/{name}", f"SELECT citus_add_node('{host}', {port})")


async def _split(url: str) -> None:
    """All rows of a person lie together, in one shard of every table."""
    persons = [table for table in TABLES if is_of_persons(table)]
    statements = [
        distribution(
            table.name,
            split_column(table),
            persons[0].name if table in persons[1:] else "none",
        )
        for table in TABLES
    ]
    name = url.rpartition("/")[2]
    statements.append(f"ALTER DATABASE {name} SET citus.multi_task_query_log_level = 'notice'")
    await _run(url, *statements)


def distribution(table: str, column: str, together: str) -> str:
    """`together` is the table beside whose shards this one's lie, or `none`."""
    return f"SELECT create_distributed_table('{table}', '{column}', colocate_with => '{together}')"


async def _drop(name: str) -> None:
    for node in (URL, *await _workers()):
        await _run(f"{node}/postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def _workers() -> list[str]:
    connection = await asyncpg.connect(f"{URL}/postgres")
    try:
        nodes = await connection.fetch(_NODES)
    finally:
        await connection.close()
    return [f"postgresql://{host}:{port}" for host, port in nodes]


async def _run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _host(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 5432
