"""A database without services, on both engines."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.db import Database, Limits, connect
from core.db.sqlite import SqliteDatabase


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = await connect(database_url)
    yield database
    await database.close()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """For tests of SQLite alone."""
    shutil.copy(sqlite_template, tmp_path / "gateway.sqlite3")
    return f"sqlite:///{tmp_path}/gateway.sqlite3"


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[SqliteDatabase]:
    database = await connect(sqlite_url, Limits(deadline_seconds=30))
    assert isinstance(database, SqliteDatabase)
    yield database
    await database.close()
