"""Connects to the first of several servers that answers and takes writes."""

import asyncio
from typing import Any

import asyncpg
import structlog

from core.db.postgres_errors import reason
from core.db.query import DatabaseUnavailable
from core.db.urls import PostgresUrl

log = structlog.get_logger("db")


class PostgresServers:
    """The servers of one URL. The one that was used last is asked first.

    Each has its share of `seconds`, so that one that hangs does not keep the others from being asked.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self._url = PostgresUrl(url)
        self._share = seconds / len(self._url.hosts)
        self._preferred = 0

    async def connect(self, **options: Any) -> Any:
        """A connection of the driver. Options are those of `asyncpg.connect`.

        Raises `DatabaseUnavailable` with the first server's reason.
        """
        hosts = self._url.hosts
        first_error: Exception | None = None
        for place in range(len(hosts)):
            number = (self._preferred + place) % len(hosts)
            try:
                connection = await self._connect_to(hosts[number], options)
            except Exception as error:
                first_error = first_error or error
                if len(hosts) > 1:
                    log.warning("database.server_skipped", host=hosts[number], reason=reason(error))
            else:
                self._preferred = number
                return connection
        assert first_error is not None
        raise DatabaseUnavailable(str(first_error) or reason(first_error)) from first_error

    async def _connect_to(self, host: str, options: dict[str, Any]) -> Any:
        async with asyncio.timeout(self._share):
            return await asyncpg.connect(
                self._url.dsn(host), target_session_attrs=self._url.role, **options
            )
