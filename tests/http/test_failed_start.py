"""A gateway that cannot start must end: a process that hangs is not started again by anybody."""

import sqlite3
import threading
from pathlib import Path

import pytest

from core.db import DatabaseUnavailable
from tests.conftest import running, settings_for


async def test_leaves_no_thread_that_keeps_the_process_alive(
    sqlite_url: str, tmp_path: Path
) -> None:
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        database.execute("DROP TABLE citizens")
    before = set(threading.enumerate())

    with pytest.raises(DatabaseUnavailable):
        async with running(settings_for(sqlite_url, tmp_path)):
            pass

    # asyncio ends its own pool.
    ours = [
        thread for thread in set(threading.enumerate()) - before if "asyncio" not in thread.name
    ]
    for thread in ours:
        thread.join(5)
    assert not any(thread.is_alive() for thread in ours)
