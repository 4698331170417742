"""PostgreSQL: collected writes are one statement; each job is a transaction, retried after a conflict."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from asyncpg.transaction import Transaction as DriverTransaction
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import Dialect

from core.db import postgres_errors as errors
from core.db.limits import Limits
from core.db.postgres_pool import PUT_BACK_SECONDS, Connection, PostgresPool, Work, terminate
from core.db.query import CommitUnknown, DatabaseUnavailable, Job, Query, Row, T
from core.db.writes import MAX_PARTS, LostRace, Write, Writes, in_one_statement


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

    async def change(self, write: Write) -> int:
        """How many rows it changed."""
        sql, arguments = write.query.arguments(PostgresDatabase.dialect, write.values)
        status: str = await _driven(self._connection.execute(sql, *arguments))
        return int(status.rpartition(" ")[2])

    async def guard(self, writes: Sequence[Write]) -> None:
        sql, arguments = in_one_statement(writes)
        await _fetch(sql, arguments, self._connection)

    async def execute_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> None:
        sql, arguments = query.arguments_of_many(PostgresDatabase.dialect, rows)
        await _driven(self._connection.executemany(sql, arguments))


class _Commit:
    """Of one write: whether it may have happened, so that without an answer its outcome is unknown."""

    __slots__ = ("may_have_happened",)

    def __init__(self) -> None:
        self.may_have_happened = False

    async def by(self, step: Awaitable[T]) -> T:
        self.may_have_happened = True
        try:
            return await step
        except Exception as error:
            self.may_have_happened = errors.leaves_unknown(error)
            raise

    def judge(self, error: Exception) -> Exception:
        """What an error of the write is to the caller."""
        if self.may_have_happened and isinstance(error, DatabaseUnavailable):
            return CommitUnknown(str(error))
        return error


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

    async def apply(self, writes: Writes) -> None:
        """Never repeated here: what is lost on the way may have been written."""
        if not len(writes):
            return
        commit = _Commit()
        if len(writes) > MAX_PARTS or writes.see_each_other:
            work: Work[Any] = partial(_run, partial(_change_all, writes), commit)
        else:
            work = partial(_fetch_and_commit, *in_one_statement(writes), commit)
        try:
            await self._pool.use(work, lambda _: False)
        except Exception as error:
            outcome = LostRace() if errors.is_conflict(error) else commit.judge(error)
            if outcome is error:
                raise
            raise outcome from error

    async def write(self, job: Job[T]) -> T:
        commit = _Commit()
        try:
            return await self._pool.use(partial(_run, job, commit), errors.is_conflict)
        except Exception as error:
            outcome = commit.judge(errors.final(error))
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


async def _fetch_and_commit(
    sql: str, arguments: list[Any], commit: _Commit, connection: Connection
) -> list[Row]:
    return await commit.by(_fetch(sql, arguments, connection))


async def _change_all(writes: Writes, transaction: _PostgresTransaction) -> None:
    if writes.see_each_other:
        for write in writes:
            if not await transaction.change(write) and write.must_change:
                raise LostRace
        return
    for (query, must_change), group in writes.by_query():
        if must_change:
            for start in range(0, len(group), MAX_PARTS):
                await transaction.guard(group[start : start + MAX_PARTS])
        else:
            await transaction.execute_many(query, [write.values for write in group])


async def _run(
    job: Callable[[_PostgresTransaction], Awaitable[T]], commit: _Commit, connection: Connection
) -> T:
    transaction = connection.transaction()
    try:
        await _driven(transaction.start())
        result = await job(_PostgresTransaction(connection))
        await commit.by(_driven(transaction.commit()))
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


async def _roll_back(connection: Connection, transaction: DriverTransaction) -> None:
    """Closes a connection whose transaction cannot be rolled back at once."""
    try:
        async with asyncio.timeout(PUT_BACK_SECONDS):
            await transaction.rollback()
    except asyncio.CancelledError:
        terminate(connection)
        raise
    except Exception:
        terminate(connection)
