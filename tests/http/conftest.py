"""A real server for what cannot be driven in the test's own process."""

import shutil
from pathlib import Path

import pytest

from tests.live import live_server

__all__ = ["live_server"]


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """For what only SQLite does."""
    shutil.copy(sqlite_template, tmp_path / "gateway.sqlite3")
    return f"sqlite:///{tmp_path}/gateway.sqlite3"
