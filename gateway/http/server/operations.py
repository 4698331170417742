"""A port of its own for operators: a second, plain HTTP server in the same process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.server import ServerState

from core.kernel.settings import Settings, SettingsError, variable
from gateway.http.edge import TrustedProxies
from gateway.http.server.connections import Connections
from gateway.http.server.sequential import SequentialProtocol

MAX_CONNECTIONS = 64


@asynccontextmanager
async def serving_operations(app: ASGIApp, settings: Settings) -> AsyncIterator[None]:
    """On the first free port of the range: each worker process takes one."""
    connections = Connections(
        seconds=settings.read_seconds,
        min_rate=settings.min_upload_rate,
        limit=MAX_CONNECTIONS,
        limit_per_address=MAX_CONNECTIONS,
        proxies=TrustedProxies.of(settings),
    )
    config = Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        partial(SequentialProtocol, config, state, {}, connections=connections),
        sock=_listener(settings.operations_host, settings.operations_ports),
    )
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()


def _listener(host: str, ports: range) -> socket.socket:
    """Raises `SettingsError` if none of the ports is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in ports:
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, port))
            found.listen()
        except OSError as error:
            reason = error.strerror
            found.close()
        else:
            return found
    raise SettingsError(
        f"Cannot listen on {host}, ports {ports.start} to {ports.stop - 1}: {reason}. "
        f"{variable('operations_port')} needs one port for each of {variable('workers')}."
    )
