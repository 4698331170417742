"""PostgreSQL LISTEN/NOTIFY, over one connection kept beside the pool.

The notification follows the commit instead of being part of it: notifying transactions
commit one after the other, which would slow down the issuer's batches.
"""

import asyncpg
from sqlalchemy import make_url

from core.live.relays.pump import PumpingRelay

CHANNEL = "card_gateway_live"
ANSWER_SECONDS = 5.0
QUIET_SECONDS = 10.0
"""A connection that says nothing for so long is asked whether it is still there."""


class PostgresRelay(PumpingRelay):
    def __init__(self, database_url: str) -> None:
        super().__init__()
        url = make_url(database_url).set(drivername="postgresql")
        self._dsn = url.render_as_string(hide_password=False)

    async def _connect_and_pump(self) -> None:
        connection = await asyncpg.connect(
            self._dsn, timeout=ANSWER_SECONDS, command_timeout=ANSWER_SECONDS
        )
        try:
            await connection.add_listener(
                CHANNEL, lambda _connection, _pid, _channel, message: self._heard(message)
            )
            self._is_connected()
            await self._pump(connection)
        finally:
            connection.terminate()

    async def _pump(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        connection.add_termination_listener(lambda _: self._something.set())
        while not connection.is_closed():
            message = await self._next_message(QUIET_SECONDS)
            if message:
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, message)
            elif message is None:
                await connection.execute("SELECT 1")
        raise ConnectionResetError
