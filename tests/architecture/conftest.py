"""One engine is enough where no statement differs."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "gateway.sqlite3")
    return f"sqlite:///{tmp_path}/gateway.sqlite3"
