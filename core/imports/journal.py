"""The journal of one import: where the last committed batch ended, and which cards were read.

A SQLite file beside the imported one, deleted when the import is complete. It is written after the
commit of each batch, so it is never ahead of the database; a batch that is missing in it is imported
again without effect. It contains blind indexes, no personal data.
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from core.imports.source import WrongFile

_TABLES = """
CREATE TABLE IF NOT EXISTS position (
    id INTEGER PRIMARY KEY CHECK (id = 1), import BLOB, offset INTEGER, line INTEGER,
    added INTEGER, already INTEGER, bad INTEGER, errors_end INTEGER, last_citizen INTEGER,
    last_card INTEGER
);
CREATE TABLE IF NOT EXISTS seen (card BLOB PRIMARY KEY, line INTEGER) WITHOUT ROWID;
"""


@dataclass(slots=True)
class ImportPosition:
    """`line` begins at byte `offset`; `last_card` is the id of the last card that was added, and
    `last_citizen` that of its holder."""

    offset: int
    line: int
    added: int = 0
    already: int = 0
    bad: int = 0
    errors_end: int = 0
    last_citizen: int = 0
    last_card: int = 0


_COLUMNS = [entry.name for entry in fields(ImportPosition)]
_READ = f"SELECT {', '.join(_COLUMNS)} FROM position WHERE import = ?"  # noqa: S608
_SAVE = (
    f"INSERT OR REPLACE INTO position (id, import, {', '.join(_COLUMNS)})"  # noqa: S608
    f" VALUES (1, ?{', ?' * len(_COLUMNS)})"
)


class Journal:
    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> "Journal":
        """Opens and locks the journal, so that no two imports of one file run concurrently."""
        try:
            path.touch(mode=0o600)
            return cls(path, _connect(path))
        except OSError as error:
            raise WrongFile(f"The journal {path} cannot be written: {error.strerror}.") from None
        except sqlite3.OperationalError as error:
            reason = "another import of this file is running" if _is_busy(error) else str(error)
            raise WrongFile(f"The journal {path} cannot be opened: {reason}.") from None
        except sqlite3.DatabaseError:
            raise WrongFile(f"{path} is not a journal of an import; please remove it.") from None

    def position(self, of: bytes) -> ImportPosition | None:
        """Position of the import named `of`; None if the journal is new or of another import."""
        found = self._connection.execute(_READ, (of,)).fetchone()
        return None if found is None else ImportPosition(*found)

    def begin(self) -> None:
        self._connection.execute("DELETE FROM position")
        self._connection.execute("DELETE FROM seen")

    def first_lines(self, cards: Sequence[tuple[bytes, int]]) -> list[int]:
        """Returns for each card the line of its first occurrence; records new cards."""
        before = self._connection.total_changes
        self._connection.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", cards)
        if self._connection.total_changes - before == len(cards):
            return [line for _, line in cards]
        query = "SELECT line FROM seen WHERE card = ?"
        return [self._connection.execute(query, (card,)).fetchone()[0] for card, _ in cards]

    def save(self, of: bytes, position: ImportPosition) -> None:
        values = [getattr(position, name) for name in _COLUMNS]
        self._connection.execute(_SAVE, (of, *values))
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN EXCLUSIVE")

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        self._connection.close()

    def remove(self) -> None:
        self.close()
        self._path.unlink(missing_ok=True)
        self._path.with_name(self._path.name + "-journal").unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_TABLES)
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _is_busy(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode == sqlite3.SQLITE_BUSY
