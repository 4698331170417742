"""Connections to PostgreSQL, each lent for one read or write, under one deadline."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias, TypeVar

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

Connection: TypeAlias = asyncpg.Connection
Work: TypeAlias = Callable[[Connection], Awaitable[T]]


class PostgresPool:
    """A connection that gives no answer in time is closed at once.

    The driver would ask the server to cancel the statement and wait for its answer, so that a
    server that hangs would hold the pool's connections, and with them those who wait for others.
    The driver's own pool makes a task and asks for a timer each time a connection is put back, which
    costs as much as a statement.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], limits: Limits) -> None:
        self._connect = connect
        self._limits = limits
        self._connections: set[Connection] = set()
        """Those that may be put back."""
        self._free: list[Connection] = []
        self._places = limits.pool_size
        """How many more may be open."""
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        """For a connection, or for None: a place for a new one."""
        self._adapt_at = 0.0

    @classmethod
    async def open(cls, url: str, limits: Limits) -> "PostgresPool":
        servers = PostgresServers(url, limits.acquire_seconds)
        connect = partial(
            servers.connect,
            statement_cache_size=_STATEMENTS if limits.statement_cache else 0,
            server_settings={
                "statement_timeout": _milliseconds(limits.statement_seconds),
                "idle_in_transaction_session_timeout": _milliseconds(limits.deadline_seconds),
            },
        )
        pool = cls(connect, limits)
        pool._places -= 1
        pool._free.append(await connect())
        pool._connections.update(pool._free)
        return pool

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
            self._adapt(error)
            raise

    async def _use_once(self, work: Work[T], deadline: asyncio.Timeout) -> T:
        connection = await self._acquire()
        try:
            return await work(connection)
        except BaseException as error:
            if deadline.expired() or errors.ends_connection(error):
                terminate(connection)
            if isinstance(error, asyncio.CancelledError) and not connection.is_closed():
                await _cancelled(connection)
            raise
        finally:
            self._put_back(connection)

    async def _acquire(self) -> Connection:
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():
                return connection
            self._connections.discard(connection)
            self._places += 1
        if not self._places:
            connection = await self._wait()
            if connection is not None and not connection.is_closed():
                return connection
            self._connections.discard(connection)
            return await self._new()
        self._places -= 1
        return await self._new()

    async def _wait(self) -> Connection | None:
        try:
            async with asyncio.timeout(self._limits.acquire_seconds):
                return await self._waited_for()
        except TimeoutError as error:
            raise DatabaseUnavailable("no connection in time") from error

    async def _waited_for(self) -> Connection | None:
        future: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled():
                self._hand_on(future.result())
            raise

    async def _new(self) -> Connection:
        """In a place that was taken for it."""
        try:
            connection = await self._connect()
        except BaseException as error:
            self._hand_on(None)
            if isinstance(error, Exception):
                raise errors.translated(error) from error
            raise
        self._connections.add(connection)
        return connection

    def _put_back(self, connection: Connection) -> None:
        if connection in self._connections and not connection.is_closed():
            self._hand_on(connection)
            return
        self._connections.discard(connection)
        terminate(connection)
        self._hand_on(None)

    def _hand_on(self, connection: Connection | None) -> None:
        """A connection, or a place, to who has waited longest."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(connection)
                return
        if connection is not None:
            self._free.append(connection)
        else:
            self._places += 1

    def _adapt(self, error: DatabaseUnavailable) -> None:
        """Reconnects where that may help: after a failover a name may lead to another server."""
        is_read_only = errors.is_read_only(error)
        now = asyncio.get_running_loop().time()
        if now < self._adapt_at or not (is_read_only or errors.is_lost_statement(error)):
            return
        self._adapt_at = now + _RECONNECT_SECONDS
        if is_read_only:
            self._expire()
        else:
            log.warning(
                "database.pooler", reason=str(error), hint="see PgBouncer in docs/deployment.md"
            )

    def _expire(self) -> None:
        """Those that are lent are closed when they are put back."""
        self._connections.clear()
        for connection in self._free:
            terminate(connection)

    async def close(self) -> None:
        """Takes every place. What is lent for longer is closed under its user."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                for _ in range(self._limits.pool_size):
                    await self._close_one()
        except TimeoutError:
            for connection in self._connections:
                terminate(connection)

    async def _close_one(self) -> None:
        if self._places:
            self._places -= 1
            return
        connection = self._free.pop() if self._free else await self._waited_for()
        if connection is not None:
            await connection.close()


def _milliseconds(seconds: float) -> str:
    """At least one: zero means no limit."""
    return str(max(1, int(seconds * 1_000)))


async def _cancelled(connection: Connection) -> None:
    """Waits until the server has ended the statement of a caller who has gone."""
    try:
        async with asyncio.timeout(PUT_BACK_SECONDS):
            await connection.execute("")
    except BaseException:
        terminate(connection)


def terminate(connection: Connection) -> None:
    """Closes it without a word to the server. The pool opens another one when it needs it."""
    connection.terminate()
