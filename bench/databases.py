"""The databases of a benchmark: SQLite's in a folder that is thrown away, PostgreSQL's by their size."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from core.db import Limits

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
_FOR_OTHERS = 20
_KEPT = Path("var/bench")
"""With the keys of those that are kept."""


@dataclass(frozen=True, slots=True)
class Place:
    """A database, and the folder of its servers. `url` is None for SQLite's usual file in the folder."""

    kind: str
    folder: Path
    url: str | None = None


@contextlib.contextmanager
def place(given: str, cards: int) -> Iterator[Place]:
    """`given` is `sqlite`, or the URL of a PostgreSQL server's database.

    On that server a database such as bench200k or bench5m is made, and dropped afterwards; one that
    is there already is used as it is, and stays.
    """
    if given == SQLITE:
        with tempfile.TemporaryDirectory() as made:
            yield Place(SQLITE, Path(made))
        return
    name = f"bench{_short(cards)}"
    folder = (_KEPT / name).absolute()
    url = make_url(given).set(database=name).render_as_string(hide_password=False)
    is_new = asyncio.run(_create(given, name))
    if is_new:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield Place(POSTGRESQL, folder, url)
    finally:
        if is_new:
            asyncio.run(_execute(given, f'DROP DATABASE "{name}" WITH (FORCE)'))
            shutil.rmtree(folder)


def _short(cards: int) -> str:
    for size, letter in ((1_000_000, "m"), (1_000, "k")):
        if cards % size == 0:
            return f"{cards // size}{letter}"
    return str(cards)


async def _create(server: str, name: str) -> bool:
    """Whether it was not there."""
    with contextlib.suppress(asyncpg.DuplicateDatabaseError):
        await _execute(server, f'CREATE DATABASE "{name}"')
        return True
    return False


async def _execute(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def require_connections(server: str, sizes: int, workers: Sequence[int]) -> None:
    """All servers of a run are connected at the same time: the gateway's workers, A, B, C and D."""
    needed = sizes * (sum(workers) + 4) * (Limits().pool_size + 1) + _FOR_OTHERS
    there = asyncio.run(_max_connections(server))
    if there < needed:
        raise SystemExit(
            f"PostgreSQL takes {there} connections, and this run needs {needed}: raise its max_connections."
        )


async def _max_connections(server: str) -> int:
    connection = await asyncpg.connect(server)
    try:
        return int(await connection.fetchval("SHOW max_connections"))
    finally:
        await connection.close()


async def backends(url: str) -> list[int]:
    """The server's processes for this database."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        )
    finally:
        await connection.close()
    return [row["pid"] for row in rows]
