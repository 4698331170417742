"""What the sandbox's outside world remembers: a keyed store of JSON objects in one SQLite file.

Every stand-in keeps its things here, each `kind` apart, so that they survive a restart and
are the same for all workers of the server.
"""

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any, TypeAlias

Thing: TypeAlias = dict[str, Any]

_BUSY_MILLISECONDS = 5_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS things (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (kind, key)
)
"""
_PUT = """
INSERT INTO things (kind, key, value) VALUES (?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value
"""
_ADD = "INSERT INTO things (kind, key, value) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO NOTHING"
_GET = "SELECT value FROM things WHERE kind = ? AND key = ?"
_ALL = "SELECT value FROM things WHERE kind = ? ORDER BY place"
_TAKE = "DELETE FROM things WHERE kind = ? AND key = ? RETURNING value"


class World:
    """May be used from any thread; any number of processes may open the same file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(
            path,
            timeout=_BUSY_MILLISECONDS / 1000,
            isolation_level=None,
            check_same_thread=False,
        )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(_SCHEMA)

    def put(self, kind: str, key: str, value: Thing) -> None:
        """Replaces what was there; it keeps its place in the order of `all`."""
        self._run(_PUT, kind, key, _written(value))

    def add(self, kind: str, key: str, value: Thing) -> bool:
        """Whether it was new: of several that add the same key, one succeeds."""
        return self._count(_ADD, kind, key, _written(value)) == 1

    def get(self, kind: str, key: str) -> Thing | None:
        return _first(self._run(_GET, kind, key))

    def all(self, kind: str) -> list[Thing]:
        """In the order in which they were first put."""
        return [json.loads(value) for (value,) in self._run(_ALL, kind)]

    def take(self, kind: str, key: str) -> Thing | None:
        """Gets and deletes: of several that take the same key, one gets it."""
        return _first(self._run(_TAKE, kind, key))

    def delete(self, kind: str, key: str) -> None:
        self._run("DELETE FROM things WHERE kind = ? AND key = ?", kind, key)

    def clear(self) -> None:
        self._run("DELETE FROM things")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _run(self, statement: str, *values: str) -> list[tuple[str]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def _count(self, statement: str, *values: str) -> int:
        with self._lock:
            return self._db.execute(statement, values).rowcount


def _written(value: Thing) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _first(rows: list[tuple[str]]) -> Thing | None:
    return json.loads(rows[0][0]) if rows else None
