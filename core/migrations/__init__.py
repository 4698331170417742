"""Alembic migrations, run by `card-gateway migrate` and, in the sandbox, at start."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from core.database import DatabaseUnavailable

HEAD = "0001"
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


def migrate(url: str) -> None:
    """Brings the database to the newest revision. Raises `DatabaseUnavailable`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    try:
        command.upgrade(alembic_config(url), "head")
    except (OperationalError, OSError) as error:
        raise DatabaseUnavailable(str(error)) from error


async def revision(url: str) -> str | None:
    """The database's revision; None where it has no tables yet."""
    parsed = make_url(url)
    if _is_missing_file(parsed):
        return None
    engine = create_async_engine(async_url(parsed), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            found = await connection.scalar(text("SELECT version_num FROM alembic_version"))
            return None if found is None else str(found)
    except OSError as error:
        raise DatabaseUnavailable(str(error)) from error
    except DBAPIError:
        return None
    finally:
        await engine.dispose()


def _is_missing_file(url: URL) -> bool:
    """Connecting would make it."""
    return url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists()


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = async_url(make_url(url))
    return config


def async_url(url: URL) -> URL:
    return url.set(drivername=_DRIVERS[url.get_backend_name()])
