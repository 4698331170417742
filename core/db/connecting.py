"""Opens the database of a URL."""

from core.db.database import Database
from core.db.limits import Limits
from core.db.postgres import PostgresDatabase
from core.db.sqlite import SqliteDatabase
from core.db.urls import sqlite_path

_USUAL = Limits()


async def connect(url: str, limits: Limits = _USUAL) -> Database:
    """Opens `sqlite:///path` or `postgresql://user@host/name`; see `docs/deployment.md`.

    A read or write that takes longer than the deadline raises `DatabaseUnavailable`.
    """
    path = sqlite_path(url)
    if path is not None:
        return await SqliteDatabase.open(path, limits.deadline_seconds)
    return await PostgresDatabase.open(url, limits)
