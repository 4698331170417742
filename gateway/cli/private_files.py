"""What the gateway stores belongs to its own user alone."""

import contextlib
import os
from pathlib import Path

from core.db import sqlite_path
from core.kernel.settings import Settings

_OTHERS = 0o077
_DEFAULT_FOLDER = Path("var")


def create_files_privately() -> None:
    """Of this process and those that it starts."""
    os.umask(_OTHERS)


def make_private(settings: Settings) -> list[Path]:
    """Takes earlier files from group and others. Returns folders whose rights are not ours to change.

    A folder that an operator chose for the database may hold other things.
    """
    database = sqlite_path(settings.database_url)
    left = []
    if database is not None:
        for suffix in ("", "-wal", "-shm"):
            _tighten(Path(f"{database}{suffix}"))
        if database.parent == _DEFAULT_FOLDER:
            _tighten(_DEFAULT_FOLDER)
        elif database.parent.stat().st_mode & _OTHERS:
            left.append(database.parent)
    if not settings.objects_s3_bucket:
        _tighten(settings.objects_dir)
    return left


def _tighten(path: Path) -> None:
    """Those of another user keep their rights, and so do those on file systems without any."""
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode
        if mode & _OTHERS:
            path.chmod(mode & ~_OTHERS & 0o7777)
