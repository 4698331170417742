"""PostgreSQL: a connection pool; each job is a transaction, retried after a conflict."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import URL, Dialect

from core.db.query import DatabaseUnavailable, Job, Query, Row, T, UniqueViolation

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


async def _no_reset(_: "asyncpg.Connection[Any]") -> None:
    """No session state is ever set here, so the four statements of the pool's reset are skipped."""


class PostgresDatabase:
    """A connection pool; each job is a transaction, retried after a conflict with another."""

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
                reset=_no_reset,
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
