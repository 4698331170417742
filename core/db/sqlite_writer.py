"""SQLite's writer: all that waits for it is written in one transaction, with one commit.

Collected writes of the same shape are executed together, one statement after the other. Where a
guard fails it is not known whose, so everything is rolled back and each runs again by itself. A job
that fails after it has written something takes the others' writes with it too, so a job may run
several times. See docs/adr/0002-batched-reads-and-group-commit.md.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Coroutine, Hashable, Iterable, Mapping
from typing import Any

from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine import Dialect

from core.db.query import DatabaseUnavailable, Job, Query, Row, T, UniqueViolation
from core.db.writes import LostRace, Write, Writes

DIALECT: Dialect = SQLiteDialect_aiosqlite(paramstyle="qmark")

_MAX_IN_A_COMMIT = 256
_OUR_OWN = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    sqlite3.NotSupportedError,
)
"""Errors of a statement or its values: repeating it would not help."""


class Pending:
    """A job or collected writes that wait for the writer, later with the outcome.

    `due` is when they are given up, in seconds of the event loop's clock."""

    __slots__ = ("_claimed", "due", "error", "future", "result", "work")

    def __init__(self, work: Job[Any] | Writes, future: "asyncio.Future[Any]", due: float) -> None:
        self.work = work
        self.future = future
        self.due = due
        self.result: Any = None
        self.error: BaseException | None = None
        self._claimed = threading.Lock()

    def claim(self) -> bool:
        """True for the first caller only: the writer that runs it, or who gives it up."""
        return self._claimed.acquire(blocking=False)

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class GroupCommit(sqlite3.Connection):
    """A connection whose `commit` runs everything that waits and commits it together (group commit)."""

    def __init__(
        self, waiting: "queue.SimpleQueue[Pending]", done: list[Pending], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._waiting = waiting
        self._done = done

    def commit(self) -> None:
        batch = self._next_batch()
        self._done.extend(batch)
        waiting = [pending for pending in batch if pending.claim()]
        try:
            if not self._run_all(waiting):
                self._run_each([pending for pending in waiting if pending.error is None])
            super().commit()
        except BaseException as error:
            failure = translated(error)
            for pending in batch:
                pending.error = pending.error or failure
            if self.in_transaction:
                super().rollback()

    def _next_batch(self) -> list[Pending]:
        batch: list[Pending] = []
        with contextlib.suppress(queue.Empty):
            while len(batch) < _MAX_IN_A_COMMIT:
                batch.append(self._waiting.get_nowait())
        return batch

    def _run_all(self, batch: list[Pending]) -> bool:
        """False if everything was rolled back. If it is known whose fault that was, it has its error."""
        self.execute("BEGIN IMMEDIATE")
        for group in _by_shape(batch):
            if not (self._run_together(group) if len(group) > 1 else self._run(group[0])):
                super().rollback()
                return False
        return True

    def _run_each(self, batch: list[Pending]) -> None:
        """With a savepoint for each: where one fails after it has written, others may too."""
        self.execute("BEGIN IMMEDIATE")
        for pending in batch:
            self.execute("SAVEPOINT work")
            if not self._run(pending):
                self.execute("ROLLBACK TO work")
            self.execute("RELEASE work")

    def _run_together(self, group: list[Pending]) -> bool:
        """Executes each statement for all of the group. False if that failed for any of them."""
        try:
            for parts in zip(*(pending.work for pending in group), strict=True):
                query, _, must_change = parts[0]
                sql, arguments = query.arguments_of_many(DIALECT, [part.values for part in parts])
                before = self.total_changes
                self.executemany(sql, arguments)
                if must_change and self.total_changes - before != len(parts):
                    return False
        except sqlite3.Error:
            # A full disk or an I/O error rolls back the whole transaction by itself.
            if not self.in_transaction:
                raise
            return False
        return True

    def _run(self, pending: Pending) -> bool:
        """False if it failed and may have written something."""
        transaction = _SqliteTransaction(self)
        try:
            if isinstance(pending.work, Writes):
                transaction.apply(pending.work)
            else:
                pending.result = _drive(pending.work(transaction))
        except BaseException as error:
            if not self.in_transaction:
                raise
            pending.error = translated(error)
            return not transaction.has_written
        return True


def _by_shape(batch: list[Pending]) -> Iterable[list[Pending]]:
    """Collected writes with the same statements together, all others one by one."""
    groups: dict[Hashable, list[Pending]] = {}
    for pending in batch:
        shape = pending.work.shape() if isinstance(pending.work, Writes) else None
        groups.setdefault(shape or pending, []).append(pending)
    return groups.values()


def translated(error: BaseException) -> BaseException:
    if not _is_unavailable(error):
        return error
    failure = DatabaseUnavailable(str(error))
    failure.__cause__ = error
    return failure


def _is_unavailable(error: BaseException) -> bool:
    """Every error of the driver that is not known to be our own, as busy, full, corrupt or read-only."""
    return isinstance(error, sqlite3.Error) and not isinstance(error, _OUR_OWN)


def _drive(job: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that never suspends: SQLite calls return in the same thread."""
    try:
        job.send(None)
    except StopIteration as finished:
        return finished.value  # type: ignore[no-any-return]
    job.close()
    raise RuntimeError("a transaction awaited something outside the database")


def rows_of(cursor: sqlite3.Cursor, query: Query) -> list[Row]:
    """As dicts: `sqlite3.Row` compares column names one by one at each access."""
    found = cursor.fetchall()
    if not found:
        return found
    if not query.columns:
        query.columns = tuple([column[0] for column in cursor.description])
    return [dict(zip(query.columns, values, strict=True)) for values in found]


class _SqliteTransaction:
    __slots__ = ("_connection", "has_written")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.has_written = False

    async def fetch(self, query: Query, /, **values: Any) -> list[Row]:
        sql, arguments = query.arguments(DIALECT, values)
        self.has_written = self.has_written or not sql.startswith("SELECT")
        try:
            return rows_of(self._connection.execute(sql, arguments), query)
        except sqlite3.IntegrityError as error:
            if _violates_key(error):
                raise UniqueViolation from error
            raise

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def execute_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> None:
        sql, arguments = query.arguments_of_many(DIALECT, rows)
        self.has_written = True
        try:
            self._connection.executemany(sql, arguments)
        except sqlite3.IntegrityError as error:
            if _violates_key(error):
                raise UniqueViolation from error
            raise

    def apply(self, writes: Iterable[Write]) -> None:
        """Raises `LostRace` at the first guard that changes no row."""
        connection = self._connection
        for query, values, must_change in writes:
            sql, arguments = query.arguments(DIALECT, values)
            before = connection.total_changes
            try:
                connection.execute(sql, arguments)
            except sqlite3.IntegrityError as error:
                if _violates_key(error):
                    raise LostRace from error
                raise
            if connection.total_changes != before:
                self.has_written = True
            elif must_change:
                raise LostRace


def _violates_key(error: sqlite3.IntegrityError) -> bool:
    return error.sqlite_errorcode in (
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    )
