"""PostgreSQL: each job is a transaction on a pooled connection, retried after a conflict."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from functools import partial
from typing import Any

from asyncpg.transaction import Transaction
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import Dialect

from core.db import postgres_errors as errors
from core.db.limits import Limits
from core.db.postgres_pool import PUT_BACK_SECONDS, Connection, PostgresPool, terminate
from core.db.query import Job, Query, Row, T


class _PostgresTransaction:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, query: Query, /, **values: Any) -> list[Row]:
        sql, arguments = query.arguments(PostgresDatabase.dialect, values)
        return await _fetch(sql, arguments, self._connection)

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def execute_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> None:
        sql, arguments = query.arguments_of_many(PostgresDatabase.dialect, rows)
        await _driven(self._connection.executemany(sql, arguments))


class PostgresDatabase:
    """Reads are repeated over another connection, jobs after a conflict, until the deadline."""

    dialect: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, limits: Limits) -> "PostgresDatabase":
        return cls(await PostgresPool.open(url, limits))

    async def fetch(self, query: Query, /, **values: Any) -> list[Row]:
        sql, arguments = query.arguments(self.dialect, values)
        return await self._pool.use(partial(_fetch, sql, arguments), errors.is_lost)

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def write(self, job: Job[T]) -> T:
        try:
            return await self._pool.use(partial(_run, job), errors.is_conflict)
        except Exception as error:
            outcome = errors.final(error)
            if outcome is error:
                raise
            raise outcome from error

    async def close(self) -> None:
        await self._pool.close()


async def _fetch(sql: str, arguments: list[Any], connection: Connection) -> list[Row]:
    try:
        rows: list[Row] = await connection.fetch(sql, *arguments)
    except Exception as error:
        raise errors.translated(error) from error
    return rows


async def _run(job: Job[T], connection: Connection) -> T:
    transaction = connection.transaction()
    try:
        await _driven(transaction.start())
        result = await job(_PostgresTransaction(connection))
        await _driven(transaction.commit())
    except asyncio.CancelledError:
        terminate(connection)  # no time is left, or nobody waits any longer
        raise
    except BaseException:
        await _roll_back(connection, transaction)
        raise
    return result


async def _driven(step: Awaitable[T]) -> T:
    try:
        return await step
    except Exception as error:
        raise errors.translated(error) from error


async def _roll_back(connection: Connection, transaction: Transaction) -> None:
    """Closes a connection whose transaction cannot be rolled back at once."""
    try:
        async with asyncio.timeout(PUT_BACK_SECONDS):
            await transaction.rollback()
    except asyncio.CancelledError:
        terminate(connection)
        raise
    except Exception:
        terminate(connection)
