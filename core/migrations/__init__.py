"""Alembic migrations, run by `card-gateway migrate` and, in the sandbox, at startup."""

from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import URL, column, make_url, select, table
from sqlalchemy.exc import OperationalError

from core.db import DatabaseUnavailable, Query, connect

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0001"
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_REVISION = Query(select(column("version_num")).select_from(table("alembic_version")))


def migrate(url: str) -> None:
    """Upgrades the database to the newest revision. Raises `DatabaseUnavailable`."""
    from alembic import command

    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    try:
        command.upgrade(alembic_config(url), "head")
    except (OperationalError, OSError) as error:
        raise DatabaseUnavailable(str(error)) from error


async def revision(url: str) -> str | None:
    """The database's revision; None if it has no tables yet. Raises `DatabaseUnavailable`.

    Queries without Alembic, whose import would double the startup time.
    """
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    if is_sqlite and not _file(url).exists():
        return None
    database = await connect(url)
    try:
        row = await database.fetch_one(_REVISION)
    except asyncpg.UndefinedTableError:
        return None
    except DatabaseUnavailable:
        if is_sqlite:
            return None
        raise
    finally:
        await database.close()
    return None if row is None else str(row["version_num"])


def alembic_config(url: str) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = async_url(make_url(url))
    return config


def async_url(url: URL) -> URL:
    return url.set(drivername=_DRIVERS[url.get_backend_name()])


def _file(url: str) -> Path:
    return Path(str(make_url(url).database))
