"""The HTTP server: the fast path past ASGI, and read timeouts."""

from gateway.http.server.fast_path import FastPath, leads_here
from gateway.http.server.protocol import FAST_PATH_KEY, FastPathProtocol
from gateway.http.server.read_timeouts import ReadTimeouts, TimedWebSockets, room_for_connections

__all__ = [
    "FAST_PATH_KEY",
    "FastPath",
    "FastPathProtocol",
    "ReadTimeouts",
    "TimedWebSockets",
    "leads_here",
    "room_for_connections",
]
