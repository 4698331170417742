"""PostgreSQL: a connection pool; each job is a transaction, retried after a conflict."""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, TypeAlias

import asyncpg
import structlog
from asyncpg.transaction import Transaction
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import URL, Dialect

from core.db.query import DatabaseUnavailable, Job, Query, Row, T, UniqueViolation

_TRIES = 3
_CONFLICTS: tuple[type[Exception], ...] = (
    asyncpg.UniqueViolationError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)
_OUR_OWN: tuple[type[Exception], ...] = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.SyntaxOrAccessError,
    asyncpg.CardinalityViolationError,
    asyncpg.FeatureNotSupportedError,
)
"""Errors of a statement or its values: repeating it would not help."""
_NOT_OUR_OWN: tuple[type[Exception], ...] = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.DuplicatePreparedStatementError,
)
"""Of the same SQLSTATE class, but caused by the server's configuration or a connection pooler."""
_CONNECTION_LOST: tuple[type[Exception], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
)
"""A read is repeated: after a restart of the server the pool still has connections to the old one."""
_STATEMENT_LOST = (
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.DuplicatePreparedStatementError,
)
"""A pooler in transaction mode gave the connection another server, without its prepared statements."""
_STATEMENTS = 1_000
_ROLLBACK_SECONDS = 0.3
_CLOSE_SECONDS = 5.0
_RECONNECT_SECONDS = 1.0

log = structlog.get_logger("db")

_Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Any]"


def _translated(error: Exception) -> Exception:
    """Every error that is not known to be our own means that the database is unavailable."""
    is_our_own = isinstance(error, _OUR_OWN) and not isinstance(error, _NOT_OUR_OWN)
    if is_our_own or isinstance(error, _CONFLICTS):
        return error
    return DatabaseUnavailable(_reason(error))


def _reason(error: Exception) -> str:
    """Without the server's message, which may quote values."""
    state = getattr(error, "sqlstate", None)
    return type(error).__name__ if state is None else f"{type(error).__name__} {state}"


class _PostgresTransaction:
    __slots__ = ("_connection",)

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    async def fetch(self, query: Query, /, **values: Any) -> list[Row]:
        sql, arguments = query.arguments(PostgresDatabase.dialect, values)
        try:
            rows: list[Row] = await self._connection.fetch(sql, *arguments)
        except Exception as error:
            raise _translated(error) from error
        return rows

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def execute_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> None:
        sql, arguments = query.arguments_of_many(PostgresDatabase.dialect, rows)
        try:
            await self._connection.executemany(sql, arguments)
        except Exception as error:
            raise _translated(error) from error


async def _no_reset(_: "asyncpg.Connection[Any]") -> None:
    """No session state is ever set here, so the four statements of the pool's reset are skipped."""


class PostgresDatabase:
    """A connection pool; each job is a transaction, retried after a conflict with another.

    What takes longer than the deadline, waiting for a connection included, is cancelled.
    """

    dialect: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]

    def __init__(self, pool: "asyncpg.Pool[Any]", dsn: str, deadline_seconds: float) -> None:
        self._pool = pool
        self._dsn = dsn
        self._deadline_seconds = deadline_seconds
        self._reconnect_at = 0.0

    @classmethod
    async def open(cls, url: URL, deadline_seconds: float) -> "PostgresDatabase":
        dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=16,
                timeout=deadline_seconds,
                statement_cache_size=_STATEMENTS,
                reset=_no_reset,
            )
        except Exception as error:
            raise DatabaseUnavailable(str(error) or type(error).__name__) from error
        return cls(pool, dsn, deadline_seconds)

    async def fetch(self, query: Query, /, **values: Any) -> list[Row]:
        sql, arguments = query.arguments(self.dialect, values)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                for _ in range(_TRIES - 1):
                    with contextlib.suppress(*_CONNECTION_LOST):
                        return await self._fetch_once(sql, arguments)
                return await self._fetch_once(sql, arguments)
        except Exception as error:
            await self._adapt(error)
            raise _translated(error) from error

    async def _fetch_once(self, sql: str, arguments: list[Any]) -> list[Row]:
        connection = await self._pool.acquire()
        try:
            rows: list[Row] = await connection.fetch(sql, *arguments)
        except _CONNECTION_LOST:
            _terminate(connection)
            raise
        finally:
            await self._release(connection)
        return rows

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def write(self, job: Job[T]) -> T:
        try:
            async with asyncio.timeout(self._deadline_seconds) as deadline:
                for _ in range(_TRIES - 1):
                    with contextlib.suppress(*_CONFLICTS):
                        return await self._write_once(job)
                return await self._write_once(job)
        except asyncpg.UniqueViolationError as error:
            raise UniqueViolation from error
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
            raise DatabaseUnavailable(_reason(error)) from error
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise DatabaseUnavailable("no answer in time") from error
        except DatabaseUnavailable as error:
            await self._adapt(error.__cause__)
            raise

    async def _write_once(self, job: Job[T]) -> T:
        connection = await _driven(self._pool.acquire())
        transaction = connection.transaction()
        try:
            await _driven(transaction.start())
            result = await job(_PostgresTransaction(connection))
            await _driven(transaction.commit())
        except BaseException:
            await _roll_back(connection, transaction)
            raise
        finally:
            await self._release(connection)
        return result

    async def _adapt(self, error: BaseException | None) -> None:
        """Reconnects where that may help: after a failover a name may lead to another server."""
        if isinstance(error, _STATEMENT_LOST):
            log.warning("database.pooler", reason=_reason(error))
            self._pool.set_connect_args(
                self._dsn, timeout=self._deadline_seconds, statement_cache_size=0
            )
        elif not isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            return
        now = asyncio.get_running_loop().time()
        if now >= self._reconnect_at:
            self._reconnect_at = now + _RECONNECT_SECONDS
            await self._pool.expire_connections()

    async def _release(self, connection: _Connection) -> None:
        """What fails here concerns the connection alone, which the pool then drops."""
        with contextlib.suppress(Exception):
            await self._pool.release(connection, timeout=_ROLLBACK_SECONDS)

    async def close(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


async def _driven(step: Awaitable[T]) -> T:
    try:
        return await step
    except Exception as error:
        raise _translated(error) from error


async def _roll_back(connection: _Connection, transaction: Transaction) -> None:
    """Closes a connection whose transaction cannot be rolled back at once."""
    try:
        async with asyncio.timeout(_ROLLBACK_SECONDS):
            await transaction.rollback()
    except Exception:
        _terminate(connection)


def _terminate(connection: _Connection) -> None:
    with contextlib.suppress(asyncpg.InterfaceError):  # it is closed already
        connection.terminate()
