"""Alembic migrations, run by `card-gateway migrate` and, in the sandbox, at startup."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import asyncpg
from sqlalchemy import column, select, table, text
from sqlalchemy.exc import OperationalError

from core.db import DatabaseUnavailable, Limits, PostgresServers, Query, connect, sqlite_path

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.ext.asyncio import AsyncEngine

HEAD = "0001"
_CONNECT_SECONDS = 10.0
_FOR_ONE_STATEMENT = Limits(pool_size=1, statement_cache=False)
_REVISION = Query(select(column("version_num")).select_from(table("alembic_version")))
_PARTITIONS = Query(
    text(
        "SELECT count(*) AS count FROM pg_inherits"
        " WHERE inhparent = to_regclass('citizens') AND inhseqno = 1"
    )
)


def migrate(url: str, partitions: int = 0) -> None:
    """Upgrades the database to the newest revision. Raises `DatabaseUnavailable`.

    A new PostgreSQL database gets its tables of persons in so many hash partitions.
    """
    from alembic import command

    file = sqlite_path(url)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    try:
        command.upgrade(alembic_config(url, partitions), "head")
    except (OperationalError, OSError) as error:
        raise DatabaseUnavailable(str(error)) from error


class State(NamedTuple):
    """`revision` is None if there are no tables yet; `partitions` is 0 for plain tables."""

    revision: str | None
    partitions: int = 0


async def state(url: str) -> State:
    """Raises `DatabaseUnavailable`.

    Queries without Alembic, whose import would double the startup time.
    """
    file = sqlite_path(url)
    if file is not None and not file.exists():
        return State(None)
    database = await connect(url, _FOR_ONE_STATEMENT)
    try:
        row = await database.fetch_one(_REVISION)
        partitions = None if file is not None else await database.fetch_one(_PARTITIONS)
    except asyncpg.UndefinedTableError:
        return State(None)
    except DatabaseUnavailable as error:
        if str(error).startswith("no such table"):  # of SQLite
            return State(None)
        raise
    finally:
        await database.close()
    return State(
        None if row is None else str(row["version_num"]), partitions["count"] if partitions else 0
    )


def alembic_config(url: str, partitions: int = 0) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["engine"] = engine(url)
    config.attributes["partitions"] = partitions
    return config


def engine(url: str) -> "AsyncEngine":
    """For migrations: with the gateway's drivers, and nothing that a pooler would not bear."""
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    file = sqlite_path(url)
    if file is not None:
        return create_async_engine(f"sqlite+aiosqlite:///{file}", poolclass=NullPool)
    options = {
        "async_creator_fn": PostgresServers(url, _CONNECT_SECONDS).connect,
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
    }
    return create_async_engine("postgresql+asyncpg://", poolclass=NullPool, connect_args=options)
