"""A bare database for tests below the services."""

from collections.abc import AsyncIterator

import pytest

from core.database import Database, connect


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = await connect(database_url)
    yield database
    await database.close()
