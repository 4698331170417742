"""The state of the sandbox: a key-value store of JSON objects in one SQLite file, and its clock.

All platforms and partners store their objects here, by `kind`, so that they survive a restart
and are shared by all workers of the server.
"""

import json
import sqlite3
import threading
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

from core.kernel.clock import CHINA, SECOND, china_date, moment
from sandbox.clock import Clock

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
    """Thread-safe; several processes may open the same file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self.clock = Clock(path.with_suffix(".clock"))
        self._db = sqlite3.connect(
            path,
            timeout=_BUSY_MILLISECONDS / 1000,
            isolation_level=None,
            check_same_thread=False,
        )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(_SCHEMA)

    def seconds(self) -> int:
        """Unix seconds of its clock."""
        return self.clock() // SECOND

    def now_in_china(self) -> str:
        return moment(self.clock()).astimezone(CHINA).isoformat(timespec="milliseconds")

    def today(self) -> date:
        return china_date(self.clock())

    def put(self, kind: str, key: str, value: Thing) -> None:
        """Inserts or replaces. A replaced object keeps its position in `all`."""
        self._run(_PUT, kind, key, _written(value))

    def add(self, kind: str, key: str, value: Thing) -> bool:
        """Inserts atomically; returns whether the key was new."""
        return self._count(_ADD, kind, key, _written(value)) == 1

    def get(self, kind: str, key: str) -> Thing | None:
        return _first(self._run(_GET, kind, key))

    def all(self, kind: str) -> list[Thing]:
        """All objects of a kind, in order of insertion."""
        return [json.loads(value) for (value,) in self._run(_ALL, kind)]

    def take(self, kind: str, key: str) -> Thing | None:
        """Returns and deletes atomically."""
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
