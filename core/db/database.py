"""One door to the data: a read is one hop of the driver, a write is one atomic job.

A `Query` is a SQLAlchemy Core statement, compiled once for each dialect. `fetch` outside a
job reads what is committed. `write(job)` runs `job(transaction)` and returns when its
effects are durable; if the job raises, nothing of it remains.

SQLite has one writer: all jobs that wait share one commit, each in a savepoint of its own,
and run wholly in the driver's thread. A job may therefore await nothing but its
transaction; PostgreSQL jobs keep the same rule, because they hold row locks.
See docs/adr/0002-batched-reads-and-group-commit.md.
"""

import asyncio
import contextlib
import queue
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import aiosqlite
import asyncpg
from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    event,
    insert,
)
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.sql import ClauseElement, Executable

T = TypeVar("T")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


@event.listens_for(Table, "after_parent_attach")
def _check_lengths(table: Table, parent: MetaData) -> None:
    """SQLite takes a text of any length for a VARCHAR(n): a CHECK refuses it there as well."""
    if parent is not metadata:
        return
    for column in table.columns:
        if isinstance(column.type, String) and column.type.length is not None:
            check = CheckConstraint(
                f"length({column.name}) <= {column.type.length}",
                name=f"ck_{table.name}_{column.name}_length",
            )
            table.append_constraint(check.ddl_if(dialect="sqlite"))


Id = BigInteger().with_variant(Integer(), "sqlite")
"""A row id. SQLite keeps a table by its key only where that is called INTEGER."""


class UniqueViolation(Exception):
    """Another job wrote the same key first."""


class DatabaseUnavailable(Exception):
    """The database is busy, full, failing or gone; nothing of the job was kept."""


class Row(Protocol):
    """What both drivers return: values by column name."""

    def __getitem__(self, name: str, /) -> Any: ...


class Query:
    """A Core statement compiled once per dialect. Values are passed by the names of its parameters."""

    def __init__(self, build: Executable | Callable[[Any], Executable]) -> None:
        self._build = build
        self._compiled: dict[str, tuple[str, list[str], dict[str, Any]]] = {}
        self.columns: tuple[str, ...] = ()
        """Names of what it answers, once SQLite has told them."""

    def compiled(self, dialect: Dialect) -> tuple[str, list[str], dict[str, Any]]:
        """The SQL text, the parameters in order, and the values that the statement holds itself."""
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect)
        return found

    def statement(self, dialect: Dialect) -> Executable:
        if isinstance(self._build, Executable):
            return self._build
        return self._build(postgres_insert if dialect.name == "postgresql" else sqlite_insert)

    def _compile(self, dialect: Dialect) -> tuple[str, list[str], dict[str, Any]]:
        statement = self.statement(dialect)
        assert isinstance(statement, ClauseElement)
        compiled = statement.compile(dialect=dialect)
        names = compiled.positiontup or []  # type: ignore[attr-defined]
        own = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}  # type: ignore[attr-defined]
        return str(compiled), list(names), own

    def arguments(self, dialect: Dialect, values: dict[str, Any]) -> tuple[str, list[Any]]:
        sql, names, own = self._compiled.get(dialect.name) or self.compiled(dialect)
        if own:
            values = own | values
        return sql, [values[name] for name in names]

    def arguments_of_many(
        self, dialect: Dialect, rows: Iterable[Mapping[str, Any]]
    ) -> tuple[str, list[list[Any]]]:
        sql, names, own = self.compiled(dialect)
        assert not own, "a statement for many rows holds no values of its own"
        return sql, [[row[name] for name in names] for row in rows]


class Lock(Query):
    """Makes other jobs wait for its rows. On SQLite there is one writer: nothing needs to be asked."""


def insert_into(table: Table, *columns: str) -> Query:
    """An insert of the named columns, or of all of them."""
    names = columns or tuple(table.columns.keys())
    return Query(insert(table).values({name: bindparam(name) for name in names}))


class Reader(Protocol):
    def fetch(self, query: Query, /, **values: Any) -> Awaitable[list[Row]]: ...

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None: ...


class Transaction(Reader, Protocol):
    async def execute_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Runs a statement that answers nothing once for each row, in one go."""

    def savepoint(self) -> contextlib.AbstractAsyncContextManager[None]:
        """What is written inside is undone when the block raises."""


Job: TypeAlias = Callable[[Transaction], Coroutine[Any, Any, T]]


class Database(Reader, Protocol):
    dialect: Dialect

    async def write(self, job: Job[T]) -> T: ...

    async def close(self) -> None: ...


async def connect(url: str) -> Database:
    """Opens `sqlite:///path` or `postgresql://user@host/name` (driver names in the URL are ignored)."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return await SqliteDatabase.open(parsed)
    return await PostgresDatabase.open(parsed)


# --- SQLite -------------------------------------------------------------------------------

BUSY_TIMEOUT_SECONDS = 5
_MAX_JOBS_IN_A_COMMIT = 256
_PATIENCE_SECONDS = 0.01
"""For which a read waits for the reader that is at work: one hop for many costs less."""
_PRAGMAS: tuple[str, ...] = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}",
    "PRAGMA foreign_keys = ON",
)


class _Pending:
    """A job that waits for the writer, and then its outcome."""

    __slots__ = ("error", "future", "job", "result")

    def __init__(self, job: Job[Any], future: "asyncio.Future[Any]") -> None:
        self.job = job
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class _Read(Struct):
    """A statement that waits for a reader, and then its rows."""

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
    """A connection whose `commit` runs every waiting read: one hop for all of them.

    Several share a transaction, because taking and leaving the database's locks costs as much as
    a look-up; they waited together, so that they may see the same state.
    """

    reads: "list[_Read]" = []  # noqa: RUF012 - each hop brings its own

    def commit(self) -> None:
        are_several = len(self.reads) > 1
        if are_several:
            self.execute("BEGIN")
        for read in self.reads:
            try:
                read.rows = _rows(self.execute(read.sql, read.arguments), read.query)
            except BaseException as error:
                read.error = _translated(error)
        if are_several:
            self.execute("COMMIT")


def _rows(cursor: sqlite3.Cursor, query: Query) -> list[Row]:
    """By name in a dict: `sqlite3.Row` compares the names one by one at each access."""
    found = cursor.fetchall()
    if not found:
        return found
    if not query.columns:
        query.columns = tuple([column[0] for column in cursor.description])
    return [dict(zip(query.columns, values, strict=True)) for values in found]


class _GroupCommit(sqlite3.Connection):
    """A connection whose `commit` runs every waiting job and commits them together."""

    def __init__(
        self, jobs: "queue.SimpleQueue[_Pending]", done: list[_Pending], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._jobs = jobs
        self._done = done

    def commit(self) -> None:
        batch = self._take()
        self._done.extend(batch)
        try:
            self.execute("BEGIN IMMEDIATE")
            for pending in batch:
                self._run(pending)
            super().commit()
        except BaseException as error:
            if self.in_transaction:
                super().rollback()
            failure = _translated(error)
            for pending in batch:
                pending.error = pending.error or failure

    def _take(self) -> list[_Pending]:
        batch: list[_Pending] = []
        with contextlib.suppress(queue.Empty):
            while len(batch) < _MAX_JOBS_IN_A_COMMIT:
                batch.append(self._jobs.get_nowait())
        return batch

    def _run(self, pending: _Pending) -> None:
        self.execute("SAVEPOINT job")
        try:
            pending.result = _drive(pending.job(_SqliteTransaction(self)))
        except BaseException as error:
            # A full disk or an I/O error ends the whole transaction, not just this job.
            if not self.in_transaction:
                raise
            self.execute("ROLLBACK TO job")
            pending.error = _translated(error)
        self.execute("RELEASE job")


def _translated(error: BaseException) -> BaseException:
    if not _is_unavailable(error):
        return error
    failure = DatabaseUnavailable(str(error))
    failure.__cause__ = error
    return failure


def _is_unavailable(error: BaseException) -> bool:
    """Busy, full or failing; a damaged file is a plain DatabaseError."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def _drive(job: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that never suspends, because SQLite answers it in the same thread."""
    try:
        job.send(None)
    except StopIteration as finished:
        return finished.value  # type: ignore[no-any-return]
    job.close()
    raise RuntimeError("a transaction awaited something outside the database")


class _SqliteTransaction:
    __slots__ = ("_connection", "_depth")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._depth = 0

    async def fetch(self, query: Query, /, **values: Any) -> list[Row]:
        if isinstance(query, Lock):
            return []
        sql, arguments = query.arguments(SqliteDatabase.dialect, values)
        try:
            return _rows(self._connection.execute(sql, arguments), query)
        except sqlite3.IntegrityError as error:
            if _is_of_a_key(error):
                raise UniqueViolation from error
            raise

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def execute_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> None:
        sql, arguments = query.arguments_of_many(SqliteDatabase.dialect, rows)
        try:
            self._connection.executemany(sql, arguments)
        except sqlite3.IntegrityError as error:
            if _is_of_a_key(error):
                raise UniqueViolation from error
            raise

    @contextlib.asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        self._depth += 1
        name = f"inner{self._depth}"
        self._connection.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute(f"ROLLBACK TO {name}")
                self._connection.execute(f"RELEASE {name}")
            raise
        finally:
            self._depth -= 1
        self._connection.execute(f"RELEASE {name}")


def _is_of_a_key(error: sqlite3.IntegrityError) -> bool:
    return error.sqlite_errorcode in (
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    )


class SqliteDatabase:
    """WAL, `synchronous=FULL`; two readers, one writer, each with a thread of its own.

    What is read in one turn of the loop, and while a reader is at work, goes to it together. The
    other one helps out when that takes long.
    """

    dialect: Dialect = SQLiteDialect_aiosqlite(paramstyle="qmark")

    def __init__(
        self,
        readers: list[aiosqlite.Connection],
        writer: aiosqlite.Connection,
        jobs: "queue.SimpleQueue[_Pending]",
        done: list[_Pending],
    ) -> None:
        self._readers = readers
        self._idle = list(readers)
        self._waiting: list[_Read] = []
        self._batches_running: set[asyncio.Task[None]] = set()
        self._batches = 0
        """How many were taken by a reader."""
        self._second_reader_timer: asyncio.TimerHandle | None = None
        self._writer = writer
        self._jobs = jobs
        self._done = done
        self._pump: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: URL) -> "SqliteDatabase":
        path = str(url.database)
        await asyncio.to_thread(Path(path).parent.mkdir, parents=True, exist_ok=True)
        jobs: queue.SimpleQueue[_Pending] = queue.SimpleQueue()
        done: list[_Pending] = []

        def writer_connection(*args: Any, **kwargs: Any) -> _GroupCommit:
            return _GroupCommit(jobs, done, *args, **kwargs)

        writer = await _open_connection(path, factory=writer_connection)
        readers = [await _open_connection(path, factory=_Reader) for _ in range(2)]
        return cls(readers, writer, jobs, done)

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
        hop = asyncio.create_task(self._read_all(self._idle.pop()))
        self._batches_running.add(hop)
        hop.add_done_callback(self._batches_running.discard)

    def _schedule_second_reader(self) -> None:
        if self._second_reader_timer is None:
            loop = asyncio.get_running_loop()
            self._second_reader_timer = loop.call_later(
                _PATIENCE_SECONDS, self._start_second_reader, self._batches
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
                try:
                    await reader.commit()
                except Exception as error:
                    for read in reads:
                        read.error = error
                for read in reads:
                    read.settle()
                if self._waiting and len(self._idle) < len(self._readers) - 1:
                    break  # the other one is at work: it takes what waits
        finally:
            self._idle.append(reader)

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def write(self, job: Job[T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Pending(job, future))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._commit_all())
        return await future

    async def _commit_all(self) -> None:
        while not self._jobs.empty():
            try:
                await self._writer.commit()
            finally:
                finished, self._done[:] = list(self._done), []
                for pending in finished:
                    pending.settle()

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


# --- PostgreSQL ---------------------------------------------------------------------------

_TRIES = 3
_RETRIED = (
    asyncpg.UniqueViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)
_UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InsufficientResourcesError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    OSError,
    TimeoutError,
)


class _PostgresTransaction:
    __slots__ = ("_connection",)

    def __init__(self, connection: "asyncpg.pool.PoolConnectionProxy[Any]") -> None:
        self._connection = connection

    async def fetch(self, query: Query, /, **values: Any) -> list[Row]:
        sql, arguments = query.arguments(PostgresDatabase.dialect, values)
        rows: list[Row] = await self._connection.fetch(sql, *arguments)
        return rows

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def execute_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> None:
        sql, arguments = query.arguments_of_many(PostgresDatabase.dialect, rows)
        await self._connection.executemany(sql, arguments)

    @contextlib.asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        async with self._connection.transaction():
            yield


async def _keep(_: "asyncpg.Connection[Any]") -> None:
    """Nothing here sets, locks or listens for a session: the pool's four statements undo nothing."""


class PostgresDatabase:
    """A pool of connections; each job is a transaction, retried when another one came first."""

    dialect: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: URL) -> "PostgresDatabase":
        dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=16,
                command_timeout=10,
                statement_cache_size=1000,
                reset=_keep,
            )
        except _UNAVAILABLE as error:
            raise DatabaseUnavailable(str(error)) from error
        return cls(pool)

    async def fetch(self, query: Query, /, **values: Any) -> list[Row]:
        sql, arguments = query.arguments(self.dialect, values)
        try:
            rows: list[Row] = await self._pool.fetch(sql, *arguments)
        except _UNAVAILABLE as error:
            raise DatabaseUnavailable(str(error)) from error
        return rows

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def write(self, job: Job[T]) -> T:
        for _ in range(_TRIES - 1):
            with contextlib.suppress(*_RETRIED):
                return await self._write_once(job)
        try:
            return await self._write_once(job)
        except asyncpg.UniqueViolationError as error:
            raise UniqueViolation from error
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
            raise DatabaseUnavailable(str(error)) from error

    async def _write_once(self, job: Job[T]) -> T:
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                return await job(_PostgresTransaction(connection))
        except _UNAVAILABLE as error:
            raise DatabaseUnavailable(str(error)) from error

    async def close(self) -> None:
        await self._pool.close()
