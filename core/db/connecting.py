"""Opens the database of a URL."""

from sqlalchemy.engine import make_url

from core.db.postgres import PostgresDatabase
from core.db.query import Database
from core.db.sqlite import SqliteDatabase

DEADLINE_SECONDS = 1.5
"""After which a citizen is told to try again, instead of waiting for a database that hangs."""
PATIENT_SECONDS = 600
"""The deadline of commands for operators, which read or write much at once."""


async def connect(url: str, deadline_seconds: float = DEADLINE_SECONDS) -> Database:
    """Opens `sqlite:///path` or `postgresql://user@host/name` (driver names in the URL are ignored).

    A read or write that takes longer than the deadline raises `DatabaseUnavailable`.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return await SqliteDatabase.open(parsed, deadline_seconds)
    return await PostgresDatabase.open(parsed, deadline_seconds)
