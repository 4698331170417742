"""SQLite: two readers and one writer, each in a thread of its own.

Statements that wait for a reader are executed together in one call to its thread. What waits for
the writer shares one commit (`sqlite_writer.py`). See docs/adr/0002-batched-reads-and-group-commit.md.
"""

import asyncio
import contextlib
import queue
import sqlite3
from collections import deque
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import aiosqlite
from msgspec import Struct
from sqlalchemy.engine import Dialect

from core.db.query import CommitUnknown, DatabaseUnavailable, Job, Query, Row, T
from core.db.sqlite_writer import DIALECT, GroupCommit, Pending, rows_of, translated
from core.db.writes import Writes

BUSY_TIMEOUT_SECONDS = 2
_SECOND_READER_DELAY_SECONDS = 0.01
"""How long statements wait for the busy reader before the second one starts: batches cost less."""
_PRAGMAS: tuple[str, ...] = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}",
    "PRAGMA foreign_keys = ON",
    "PRAGMA wal_autocheckpoint = 4000",
)


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
                    read.rows = rows_of(self.execute(read.sql, read.arguments), read.query)
                except BaseException as error:
                    read.error = translated(error)
        finally:
            if self.in_transaction:
                self.rollback()


class SqliteDatabase:
    """WAL, `synchronous=FULL`; two readers and one writer, each in a thread of its own.

    Statements issued in one iteration of the event loop, or while a reader is busy, form one
    batch. The second reader starts when the first takes long.
    """

    dialect: Dialect = DIALECT

    def __init__(
        self,
        readers: list[aiosqlite.Connection],
        writer: aiosqlite.Connection,
        jobs: "queue.SimpleQueue[Pending]",
        done: list[Pending],
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
        self._unanswered: deque[Pending] = deque()
        """In the order in which they are due; the first one is not done, or the next write drops it."""
        self._deadline_timer: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, file: Path, deadline_seconds: float) -> "SqliteDatabase":
        path = str(file)
        await asyncio.to_thread(Path(path).parent.mkdir, parents=True, exist_ok=True)
        jobs: queue.SimpleQueue[Pending] = queue.SimpleQueue()
        done: list[Pending] = []

        def writer_connection(*args: Any, **kwargs: Any) -> GroupCommit:
            return GroupCommit(jobs, done, *args, **kwargs)

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
                        read.error = read.error or translated(error)
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
        result: T = await self._enqueue(job)
        return result

    def apply(self, writes: Writes) -> Awaitable[None]:
        return self._enqueue(writes)

    def _enqueue(self, work: Job[Any] | Writes) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        due = loop.time() + self._deadline_seconds
        pending = Pending(work, loop.create_future(), due)
        self._jobs.put(pending)
        while self._unanswered and self._unanswered[0].future.done():
            self._unanswered.popleft()
        self._unanswered.append(pending)
        if self._deadline_timer is None:
            self._deadline_timer = loop.call_at(due, self._give_up_writes)
        if self._pump is None or self._pump.done():
            self._pump = loop.create_task(self._commit_all())
        return pending.future

    def _give_up_writes(self) -> None:
        """Refuses what has waited too long; what has not begun will not run."""
        loop = asyncio.get_running_loop()
        unanswered, now = self._unanswered, loop.time()
        while unanswered and (unanswered[0].future.done() or unanswered[0].due <= now):
            pending = unanswered.popleft()
            if not pending.future.done():
                error = DatabaseUnavailable if pending.claim() else CommitUnknown
                pending.future.set_exception(error("no answer in time"))
        self._deadline_timer = (
            loop.call_at(unanswered[0].due, self._give_up_writes) if unanswered else None
        )

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
        for timer in (self._second_reader_timer, self._deadline_timer):
            if timer is not None:
                timer.cancel()
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
        raise translated(error) from error
    return connection


async def _set_up(connection: aiosqlite.Connection) -> None:
    try:
        for pragma in _PRAGMAS:
            await connection.execute_fetchall(pragma)
    except sqlite3.DatabaseError:
        await connection.close()
        raise
