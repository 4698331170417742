"""Live updates: wakes the subscribers of a citizen's production progress, across processes and hosts."""

from core.live.live import Live, Watcher
from core.live.relay import PostgresRelay, build_relay

__all__ = [
    "Live",
    "PostgresRelay",
    "Watcher",
    "build_relay",
]
