"""The HTTP server: one request of a connection at a time, read timeouts, and the fast path past ASGI."""

from gateway.http.server.connections import Connections, connection_limit
from gateway.http.server.fast_path import FastPath, is_candidate
from gateway.http.server.operations import serving_operations
from gateway.http.server.protocol import FAST_PATH_KEY, FastPathProtocol
from gateway.http.server.websockets import TimedWebSockets

__all__ = [
    "FAST_PATH_KEY",
    "Connections",
    "FastPath",
    "FastPathProtocol",
    "TimedWebSockets",
    "connection_limit",
    "is_candidate",
    "serving_operations",
]
