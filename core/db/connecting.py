"""Opens the database of a URL."""

from sqlalchemy.engine import make_url

from core.db.postgres import PostgresDatabase
from core.db.query import Database
from core.db.sqlite import SqliteDatabase


async def connect(url: str) -> Database:
    """Opens `sqlite:///path` or `postgresql://user@host/name` (driver names in the URL are ignored)."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return await SqliteDatabase.open(parsed)
    return await PostgresDatabase.open(parsed)
