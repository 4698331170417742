"""The HTTP server: the fast path, which bypasses ASGI, and read timeouts."""

from gateway.http.server.fast_path import FastPath, is_candidate
from gateway.http.server.protocol import FAST_PATH_KEY, FastPathProtocol
from gateway.http.server.read_timeouts import ReadTimeouts, TimedWebSockets, connection_limit

__all__ = [
    "FAST_PATH_KEY",
    "FastPath",
    "FastPathProtocol",
    "ReadTimeouts",
    "TimedWebSockets",
    "connection_limit",
    "is_candidate",
]
