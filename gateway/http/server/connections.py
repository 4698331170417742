"""The connections of a server process: how many there may be, which are late, which give way.

uvicorn has no read timeout, so a client that sends a byte now and then keeps a socket for ever
(slowloris), and so does one that does not read its response. Here every connection for which
the server does no work is waiting: for a head, a body, a client that reads, the next request.
Once a second, those that wait for too long are closed. When all places are taken, the one that
has been waiting longest gives way to a new one.

An address has places of its own; an IPv6 address stands for its /64 network. Connections of a
trusted proxy do not count, but the WebSockets that it forwards do, by the client's address.
"""

import asyncio
import resource
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from gateway.http.admission import network
from gateway.http.edge import TrustedProxies

SWEEP_SECONDS = 1.0
RESERVED_FILES = 256
"""File descriptors for the database, pictures and calls to partners."""

log = structlog.get_logger("connections")


class Connection(Protocol):
    def is_late(self, now: float) -> bool:
        """`now` is the time of the event loop, in seconds."""

    def close_late(self) -> None: ...

    def give_way(self) -> None: ...


@dataclass(slots=True)
class Connections:
    """`seconds` and `min_rate` are those of `CARD_GATEWAY_READ_SECONDS` and `…_MIN_UPLOAD_RATE`."""

    seconds: float
    min_rate: int
    limit: int
    limit_per_address: int
    proxies: TrustedProxies
    _waiting: dict[Connection, None] = field(default_factory=dict)
    """In the order in which they began to wait."""
    _places: dict[bytes, dict[Connection, None]] = field(default_factory=dict)
    _timer: asyncio.TimerHandle | None = None

    def wait(self, connection: Connection) -> None:
        self._waiting.pop(connection, None)
        self._waiting[connection] = None
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop)

    def serve(self, connection: Connection) -> None:
        self._waiting.pop(connection, None)

    def has_room(self, total: int) -> bool:
        """Whether one more connection may be served; `total` includes it."""
        return total <= self.limit or self._make_room(self._waiting)

    def take_place(self, connection: Connection, address: str) -> bool:
        """False if all places of the address are taken and in use."""
        places = self._places.setdefault(network(address), {})
        if len(places) >= self.limit_per_address and not self._make_room(places):
            return False
        places[connection] = None
        return True

    def leave(self, connection: Connection, address: str | None) -> None:
        """`address` is the one of `take_place`, if it took a place."""
        self._waiting.pop(connection, None)
        if address is None:
            return
        key = network(address)
        places = self._places.get(key, {})
        places.pop(connection, None)
        if not places:
            self._places.pop(key, None)

    def _make_room(self, among: dict[Connection, None]) -> bool:
        """Closes the connection that has been waiting longest; False if none is waiting."""
        for connection in self._waiting:
            if connection in among:
                among.pop(connection)
                self._waiting.pop(connection, None)
                connection.give_way()
                return True
        return False

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        late = [connection for connection in self._waiting if connection.is_late(now)]
        for connection in late:
            connection.close_late()
        if late:
            log.info("connections.late", closed=len(late))
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if self._waiting else None


def connection_limit(wanted: int) -> int:
    """The number of connections that the system permits, after raising the soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        target = max(soft, wanted + RESERVED_FILES)
    else:
        target = min(hard, max(soft, wanted + RESERVED_FILES))
    if soft != resource.RLIM_INFINITY and target > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, target - RESERVED_FILES)
