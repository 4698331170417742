"""Relays: how workers and hosts tell each other that somebody's card has moved on.

Redis where it is configured, otherwise the PostgreSQL that holds the data (LISTEN/NOTIFY);
none on SQLite, where the sweep of `core/live/live.py` follows other processes.
"""

from core.kernel.settings import Settings
from core.live.live import Relay


def build_relay(settings: Settings) -> Relay | None:
    if settings.live_relay == "none":
        return None
    if settings.redis_url.reveal() and settings.live_relay != "postgresql":
        from core.live.relays.redis import RedisRelay

        return RedisRelay(settings.redis_url.reveal())
    if settings.database_url.startswith("postgresql"):
        from core.live.relays.postgres import PostgresRelay

        return PostgresRelay(settings.database_url)
    return None
