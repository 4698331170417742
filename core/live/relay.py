"""Carries wake-ups between processes by PostgreSQL LISTEN/NOTIFY.

One connection outside the pool listens and notifies. The notification follows the commit instead
of being part of it: PostgreSQL lets notifying transactions commit one after the other, which would
slow down batches of events.

The relay counts as connected once it has received its own first notification. Behind PgBouncer in
transaction mode LISTEN succeeds and nothing ever arrives: there the relay never connects, and the
poll of `core/live/live.py` finds every change.
"""

import asyncio
from collections.abc import Callable, Collection

import structlog

from core.db import PostgresServers
from core.kernel.background import BackgroundTask
from core.kernel.settings import Settings

CHANNEL = "card_gateway_live"
COMMAND_TIMEOUT_SECONDS = 5.0
PING_SECONDS = 10.0
"""A connection without notifications for this long is checked."""
RETRY_SECONDS = 1.0
MAX_IDS_PER_NOTIFICATION = 300
"""A payload must be shorter than 8,000 bytes (PostgreSQL, NOTIFY); an id has at most 19 digits."""

log = structlog.get_logger("live")


def build_relay(settings: Settings) -> "PostgresRelay | None":
    """None on SQLite, and where the setting says so."""
    if settings.live_relay == "none" or not settings.database_url.startswith("postgresql"):
        return None
    return PostgresRelay(settings.database_url)


class PostgresRelay:
    def __init__(self, database_url: str) -> None:
        self._servers = PostgresServers(database_url, COMMAND_TIMEOUT_SECONDS)
        self.connected = False
        self._pending: set[int] = set()
        self._wanted = asyncio.Event()
        self._task = BackgroundTask(self._run, "live-relay")
        self._wake: Callable[[Collection[int]], None] = lambda _: None
        self._wake_all: Callable[[], None] = lambda: None

    def start(self, wake: Callable[[Collection[int]], None], wake_all: Callable[[], None]) -> None:
        """`wake_all` is called after each connect: notifications sent before it are lost."""
        self._wake, self._wake_all = wake, wake_all
        self._task.start()

    def publish(self, citizen_id: int) -> None:
        """Returns at once; pending wake-ups travel together."""
        self._pending.add(citizen_id)
        self._wanted.set()

    async def stop(self) -> None:
        await self._task.stop()

    async def _run(self) -> None:
        while True:
            try:
                await self._connect_and_relay()
            except Exception as error:
                log.warning("live.relay_lost", reason=type(error).__name__)
            finally:
                self.connected = False
            await asyncio.sleep(RETRY_SECONDS)

    async def _connect_and_relay(self) -> None:
        """Returns never; raises what the driver raises when the connection is lost."""
        connection = await self._servers.connect(command_timeout=COMMAND_TIMEOUT_SECONDS)
        try:
            await connection.add_listener(
                CHANNEL, lambda _connection, _pid, _channel, payload: self._on_notify(payload)
            )
            connection.add_termination_listener(lambda _: self._wanted.set())
            payload: str | None = ""
            while not connection.is_closed():
                if payload is None:
                    await connection.execute("SELECT 1")
                else:
                    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)
                payload = await self._next_payload()
            raise ConnectionResetError
        finally:
            connection.terminate()

    def _on_notify(self, payload: str) -> None:
        """From any process that may write to the same database, this one included."""
        if not self.connected:
            self.connected = True
            self._wake_all()
        self._wake([int(part) for part in payload.split(",") if part.isascii() and part.isdigit()])

    async def _next_payload(self) -> str | None:
        """Comma-separated citizen ids; None after `PING_SECONDS` without any."""
        if not self._pending:
            self._wanted.clear()
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._wanted.wait()
            except TimeoutError:
                return None
        count = min(len(self._pending), MAX_IDS_PER_NOTIFICATION)
        return ",".join(str(self._pending.pop()) for _ in range(count))
