"""A port of its own for operators: a second, plain HTTP server in the same process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from core.kernel.settings import SettingsError, variable

MAX_CONNECTIONS = 64


@asynccontextmanager
async def serving_operations(app: ASGIApp, host: str, ports: range) -> AsyncIterator[None]:
    """On the first free port of the range: each worker process takes one."""
    config = Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
    )
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        partial(HttpToolsProtocol, config, state, {}), sock=_listener(host, ports)
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
