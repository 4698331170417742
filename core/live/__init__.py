"""Live updates: tells subscribers that production has moved on, across workers and hosts."""

from core.live.live import Live, Watcher
from core.live.relays import build_relay

__all__ = [
    "Live",
    "Watcher",
    "build_relay",
]
