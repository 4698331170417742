"""Connections to PostgreSQL, each lent for one read or write, under one deadline."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import asyncpg
import structlog

from core.db import postgres_errors as errors
from core.db.limits import Limits
from core.db.postgres_servers import PostgresServers
from core.db.query import DatabaseUnavailable

T = TypeVar("T")

_TRIES = 3
_STATEMENTS = 1_000
PUT_BACK_SECONDS = 0.3
"""For a connection that works, but whose caller has gone: its statement is cancelled first."""
_CLOSE_SECONDS = 5.0
_RECONNECT_SECONDS = 1.0

log = structlog.get_logger("db")

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Any]"
Work: TypeAlias = Callable[[Connection], Awaitable[T]]


class PostgresPool:
    """A connection that gives no answer in time is closed at once.

    The driver would ask the server to cancel the statement and wait for its answer, so that a
    server that hangs would hold the pool's connections, and with them those who wait for others.
    """

    def __init__(self, pool: "asyncpg.Pool[Any]", limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._lent = 0
        """Connections in use or asked for."""
        self._adapt_at = 0.0

    @classmethod
    async def open(cls, url: str, limits: Limits) -> "PostgresPool":
        try:
            pool = await asyncpg.create_pool(
                connect=PostgresServers(url, limits.acquire_seconds).connect,
                min_size=1,
                max_size=limits.pool_size,
                statement_cache_size=_STATEMENTS if limits.statement_cache else 0,
                server_settings={
                    "statement_timeout": _milliseconds(limits.statement_seconds),
                    "idle_in_transaction_session_timeout": _milliseconds(limits.deadline_seconds),
                },
                reset=_no_reset,
            )
        except DatabaseUnavailable:
            raise
        except Exception as error:
            raise DatabaseUnavailable(str(error) or type(error).__name__) from error
        return cls(pool, limits)

    async def use(self, work: Work[T], again: Callable[[Exception], bool]) -> T:
        """What `work` returns; it is repeated, over another connection, after errors of `again`.

        Raises what `work` raised last, and `DatabaseUnavailable` after the deadline.
        """
        try:
            async with asyncio.timeout(self._limits.deadline_seconds) as deadline:
                for _ in range(_TRIES - 1):
                    try:
                        return await self._use_once(work, deadline)
                    except Exception as error:
                        if not again(error):
                            raise
                return await self._use_once(work, deadline)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise DatabaseUnavailable("no answer in time") from error
        except DatabaseUnavailable as error:
            await self._adapt(error)
            raise

    async def _use_once(self, work: Work[T], deadline: asyncio.Timeout) -> T:
        self._lent += 1
        try:
            connection = await self._acquire()
            try:
                return await work(connection)
            except BaseException as error:
                if deadline.expired() or errors.ends_connection(error):
                    terminate(connection)
                raise
            finally:
                await self._put_back(connection)
        finally:
            self._lent -= 1

    async def _acquire(self) -> Connection:
        """A timer costs a tenth of a read. Where a place is free, connecting has a limit itself."""
        must_wait = self._lent > self._limits.pool_size
        try:
            return await self._pool.acquire(
                timeout=self._limits.acquire_seconds if must_wait else None
            )
        except TimeoutError as error:
            raise DatabaseUnavailable("no connection in time") from error
        except DatabaseUnavailable:
            raise
        except Exception as error:
            raise errors.translated(error) from error

    async def _put_back(self, connection: Connection) -> None:
        """What fails here concerns the connection alone, which the pool then drops."""
        with contextlib.suppress(Exception):
            await self._pool.release(connection, timeout=PUT_BACK_SECONDS)

    async def _adapt(self, error: DatabaseUnavailable) -> None:
        """Reconnects where that may help: after a failover a name may lead to another server."""
        is_read_only = errors.is_read_only(error)
        now = asyncio.get_running_loop().time()
        if now < self._adapt_at or not (is_read_only or errors.is_lost_statement(error)):
            return
        self._adapt_at = now + _RECONNECT_SECONDS
        if is_read_only:
            await self._pool.expire_connections()
        else:
            log.warning(
                "database.pooler", reason=str(error), hint="see PgBouncer in docs/deployment.md"
            )

    async def close(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


def _milliseconds(seconds: float) -> str:
    """At least one: zero means no limit."""
    return str(max(1, int(seconds * 1_000)))


async def _no_reset(_: "asyncpg.Connection[Any]") -> None:
    """No session state is ever set here, so the four statements of the pool's reset are skipped."""


def terminate(connection: Connection) -> None:
    """Closes it without a word to the server. The pool opens another one when it needs it."""
    with contextlib.suppress(asyncpg.InterfaceError):  # it is closed already
        connection.terminate()
