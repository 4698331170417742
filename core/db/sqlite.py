"""SQLite: two readers and one writer, each in a thread of its own.

Statements that wait for a reader are executed together in one call to its thread. Jobs that wait
for the writer share one commit. One that fails after it has written something takes the others'
writes with it when it is rolled back, so the others then run again: a job may run several times.
See docs/adr/0002-batched-reads-and-group-commit.md.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

import aiosqlite
from msgspec import Struct
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine import Dialect

from core.db.query import (
    CommitUnknown,
    DatabaseUnavailable,
    Job,
    Query,
    Row,
    T,
    Transaction,
    UniqueViolation,
)
from core.db.writes import LostRace, Writes

BUSY_TIMEOUT_SECONDS = 2
_MAX_JOBS_IN_A_COMMIT = 256
_SECOND_READER_DELAY_SECONDS = 0.01
"""How long statements wait for the busy reader before the second one starts: batches cost less."""
_OUR_OWN = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    sqlite3.NotSupportedError,
)
"""Errors of a statement or its values: repeating it would not help."""
_PRAGMAS: tuple[str, ...] = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}",
    "PRAGMA foreign_keys = ON",
)


class _Pending:
    """A job that waits for the writer, later with its outcome."""

    __slots__ = ("_claimed", "error", "future", "job", "result")

    def __init__(self, job: Job[Any], future: "asyncio.Future[Any]") -> None:
        self.job = job
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None
        self._claimed = threading.Lock()

    def claim(self) -> bool:
        """True for the first caller only: the writer that runs the job, or who gives it up."""
        return self._claimed.acquire(blocking=False)

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class _Read(Struct):
    """A statement that waits for a reader, later with its rows."""

    query: Query
    sql: str
    arguments: list[Any]
    future: "asyncio.Future[Any]"
    rows: list[Row] = []
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.rows)
        else:
            self.future.set_exception(self.error)


class _Reader(sqlite3.Connection):
    """A connection whose `commit` executes every waiting statement in one call to its thread.

    Several statements share a read transaction, because acquiring and releasing the file locks
    costs as much as a lookup; having waited together, they may see the same snapshot.
    """

    reads: "list[_Read]" = []  # noqa: RUF012 - replaced for each batch

    def commit(self) -> None:
        are_several = len(self.reads) > 1
        try:
            if are_several:
                self.execute("BEGIN")
            for read in self.reads:
                try:
                    read.rows = _rows(self.execute(read.sql, read.arguments), read.query)
                except BaseException as error:
                    read.error = _translated(error)
        finally:
            if self.in_transaction:
                self.rollback()


def _rows(cursor: sqlite3.Cursor, query: Query) -> list[Row]:
    """As dicts: `sqlite3.Row` compares column names one by one at each access."""
    found = cursor.fetchall()
    if not found:
        return found
    if not query.columns:
        query.columns = tuple([column[0] for column in cursor.description])
    return [dict(zip(query.columns, values, strict=True)) for values in found]


class _GroupCommit(sqlite3.Connection):
    """A connection whose `commit` runs every waiting job and commits them together (group commit)."""

    def __init__(
        self, jobs: "queue.SimpleQueue[_Pending]", done: list[_Pending], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._jobs = jobs
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
            failure = _translated(error)
            for pending in batch:
                pending.error = pending.error or failure
            if self.in_transaction:
                super().rollback()

    def _next_batch(self) -> list[_Pending]:
        batch: list[_Pending] = []
        with contextlib.suppress(queue.Empty):
            while len(batch) < _MAX_JOBS_IN_A_COMMIT:
                batch.append(self._jobs.get_nowait())
        return batch

    def _run_all(self, batch: list[_Pending]) -> bool:
        """False if everything was rolled back because of one job, which has its error now."""
        self.execute("BEGIN IMMEDIATE")
        for pending in batch:
            if not self._run(pending):
                super().rollback()
                return False
        return True

    def _run_each(self, batch: list[_Pending]) -> None:
        """With a savepoint for each: where one fails after it has written, others may too."""
        self.execute("BEGIN IMMEDIATE")
        for pending in batch:
            self.execute("SAVEPOINT job")
            if not self._run(pending):
                self.execute("ROLLBACK TO job")
            self.execute("RELEASE job")

    def _run(self, pending: _Pending) -> bool:
        """False if the job failed after it had written something."""
        transaction = _SqliteTransaction(self)
        try:
            pending.result = _drive(pending.job(transaction))
        except BaseException as error:
            # A full disk or an I/O error rolls back the whole transaction by itself.
            if not self.in_transaction:
                raise
            pending.error = _translated(error)
            return not transaction.has_written
        return True


def _translated(error: BaseException) -> BaseException:
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


class _SqliteTransaction:
    __slots__ = ("_connection", "has_written")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.has_written = False

    async def fetch(self, query: Query, /, **values: Any) -> list[Row]:
        sql, arguments = query.arguments(SqliteDatabase.dialect, values)
        self.has_written = self.has_written or not sql.startswith("SELECT")
        try:
            return _rows(self._connection.execute(sql, arguments), query)
        except sqlite3.IntegrityError as error:
            if _violates_key(error):
                raise UniqueViolation from error
            raise

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def execute_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> None:
        sql, arguments = query.arguments_of_many(SqliteDatabase.dialect, rows)
        self.has_written = True
        try:
            self._connection.executemany(sql, arguments)
        except sqlite3.IntegrityError as error:
            if _violates_key(error):
                raise UniqueViolation from error
            raise

    def apply(self, writes: Writes) -> None:
        """Raises `LostRace` at the first guard that changes no row."""
        connection, dialect = self._connection, SqliteDatabase.dialect
        for query, values, must_change in writes:
            sql, arguments = query.arguments(dialect, values)
            changes = connection.total_changes
            try:
                connection.execute(sql, arguments)
            except sqlite3.IntegrityError as error:
                if _violates_key(error):
                    raise LostRace from error
                raise
            if connection.total_changes != changes:
                self.has_written = True
            elif must_change:
                raise LostRace


def _violates_key(error: sqlite3.IntegrityError) -> bool:
    return error.sqlite_errorcode in (
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    )


class SqliteDatabase:
    """WAL, `synchronous=FULL`; two readers and one writer, each in a thread of its own.

    Statements issued in one iteration of the event loop, or while a reader is busy, form one
    batch. The second reader starts when the first takes long.
    """

    dialect: Dialect = SQLiteDialect_aiosqlite(paramstyle="qmark")

    def __init__(
        self,
        readers: list[aiosqlite.Connection],
        writer: aiosqlite.Connection,
        jobs: "queue.SimpleQueue[_Pending]",
        done: list[_Pending],
        deadline_seconds: float,
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._readers = readers
        self._idle = list(readers)
        self._waiting: list[_Read] = []
        self._batches_running: set[asyncio.Task[None]] = set()
        self._batches = 0
        """How many batches have been started."""
        self._second_reader_timer: asyncio.TimerHandle | None = None
        self._watches: dict[_Reader, asyncio.TimerHandle] = {}
        self._writer = writer
        self._jobs = jobs
        self._done = done
        self._pump: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, file: Path, deadline_seconds: float) -> "SqliteDatabase":
        path = str(file)
        await asyncio.to_thread(Path(path).parent.mkdir, parents=True, exist_ok=True)
        jobs: queue.SimpleQueue[_Pending] = queue.SimpleQueue()
        done: list[_Pending] = []

        def writer_connection(*args: Any, **kwargs: Any) -> _GroupCommit:
            return _GroupCommit(jobs, done, *args, **kwargs)

        writer = await _open_connection(path, factory=writer_connection)
        readers = [await _open_connection(path, factory=_Reader) for _ in range(2)]
        return cls(readers, writer, jobs, done, deadline_seconds)

    def fetch(self, query: Query, /, **values: Any) -> Awaitable[list[Row]]:
        sql, arguments = query.arguments(self.dialect, values)
        read = _Read(query, sql, arguments, asyncio.get_running_loop().create_future())
        self._waiting.append(read)
        if len(self._idle) == len(self._readers):
            self._start_batch()
        else:
            self._schedule_second_reader()
        return read.future

    def _start_batch(self) -> None:
        task = asyncio.create_task(self._read_all(self._idle.pop()))
        self._batches_running.add(task)
        task.add_done_callback(self._batches_running.discard)

    def _schedule_second_reader(self) -> None:
        if self._second_reader_timer is None:
            loop = asyncio.get_running_loop()
            self._second_reader_timer = loop.call_later(
                _SECOND_READER_DELAY_SECONDS, self._start_second_reader, self._batches
            )

    def _start_second_reader(self, batches: int) -> None:
        self._second_reader_timer = None
        if not self._waiting:
            return
        if self._batches == batches and self._idle:
            self._start_batch()
        else:
            self._schedule_second_reader()

    async def _read_all(self, reader: aiosqlite.Connection) -> None:
        connection = reader._conn  # noqa: SLF001
        assert isinstance(connection, _Reader)
        try:
            while self._waiting:
                reads, self._waiting = self._waiting, []
                self._batches += 1
                connection.reads = reads
                self._watch(connection, reads)
                try:
                    await reader.commit()
                except Exception as error:
                    for read in reads:
                        read.error = read.error or _translated(error)
                finally:
                    self._watches.pop(connection).cancel()
                for read in reads:
                    read.settle()
                if self._waiting and len(self._idle) < len(self._readers) - 1:
                    break  # the other reader is running and takes the waiting statements
        finally:
            self._idle.append(reader)

    def _watch(self, connection: _Reader, reads: list[_Read]) -> None:
        self._watches[connection] = asyncio.get_running_loop().call_later(
            self._deadline_seconds, self._give_up, connection, reads
        )

    def _give_up(self, connection: _Reader, reads: list[_Read]) -> None:
        """Interrupts the reader's statement, and refuses what waits for it."""
        waiting, self._waiting = self._waiting, []
        for read in (*reads, *waiting):
            if not read.future.done():
                read.future.set_exception(DatabaseUnavailable("no answer in time"))
        connection.interrupt()
        self._watch(connection, reads)

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def write(self, job: Job[T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        pending = _Pending(job, future)
        self._jobs.put(pending)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._commit_all())
        try:
            async with asyncio.timeout(self._deadline_seconds) as deadline:
                return await future
        except TimeoutError as error:
            if not deadline.expired():
                raise
            if pending.claim():  # what has not begun will not run
                raise DatabaseUnavailable("no answer in time") from error
            raise CommitUnknown("no answer in time") from error

    async def apply(self, writes: Writes) -> None:
        async def job(transaction: Transaction) -> None:
            assert isinstance(transaction, _SqliteTransaction)
            transaction.apply(writes)

        await self.write(job)

    async def _commit_all(self) -> None:
        while not self._jobs.empty():
            try:
                await self._writer.commit()
            except Exception as error:
                self._refuse_all(error)
            finally:
                finished, self._done[:] = list(self._done), []
                for pending in finished:
                    pending.settle()

    def _refuse_all(self, error: Exception) -> None:
        """After an error of the connection itself, whose jobs have their errors already."""
        with contextlib.suppress(queue.Empty):
            while True:
                pending = self._jobs.get_nowait()
                pending.error = DatabaseUnavailable(type(error).__name__)
                self._done.append(pending)

    async def close(self) -> None:
        if self._second_reader_timer is not None:
            self._second_reader_timer.cancel()
        if self._pump is not None:
            await self._pump
        await asyncio.gather(*self._batches_running)
        for connection in (self._writer, *self._readers):
            await connection.close()


async def _open_connection(path: str, **options: Any) -> aiosqlite.Connection:
    try:
        connection = await aiosqlite.connect(path, isolation_level=None, **options)
        await _set_up(connection)
    except sqlite3.DatabaseError as error:
        raise _translated(error) from error
    return connection


async def _set_up(connection: aiosqlite.Connection) -> None:
    try:
        for pragma in _PRAGMAS:
            await connection.execute_fetchall(pragma)
    except sqlite3.DatabaseError:
        await connection.close()
        raise
