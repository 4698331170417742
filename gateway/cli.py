"""`card-gateway`: what operators type."""

import asyncio
import gc
import os
import socket
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from sqlalchemy import make_url
from starlette.applications import Starlette

from core.database import DatabaseUnavailable
from core.settings import PREFIX, Secret, Settings, SettingsError, variable

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    try:
        cli()
    except (SettingsError, DatabaseUnavailable) as error:
        _stop(str(error))


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes.")] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Stand in for the outside world.")
    ] = False,
) -> None:
    """Serves the gateway."""
    given = {"host": host, "port": port, "workers": workers, "sandbox": sandbox or None}
    for name, value in given.items():
        if value is not None:
            os.environ[PREFIX + name.upper()] = str(value)
    settings = read_settings()
    _must_be_complete(settings)
    _must_be_free(settings.host, settings.port)
    _prepare_database(settings)
    if settings.sandbox:
        _greet(settings)
    _run_server(settings)


@cli.command()
def settings() -> None:
    """Lists every setting with its meaning and default."""
    for entry in fields(Settings):
        default = "" if isinstance(entry.default, Secret) else entry.default
        print(f"{variable(entry.name)}\n    {entry.metadata['meaning']}")
        print(f"    default: {'(none)' if default in ('', None) else default}")
    print(f"\n{PREFIX}SECRETS_DIR\n    folder with a file per setting, named in lower case")


@cli.command()
def schema() -> None:
    """Prints the schema in SDL."""
    from gateway.schema import build_schema

    print(build_schema().as_str())


@cli.command()
def migrate() -> None:
    """Brings the database to the newest revision."""
    from core import migrations

    migrations.migrate(read_settings().database_url)
    print("The database is at the newest revision.")


def read_settings() -> Settings:
    found = Settings.read()
    if not found.sandbox:
        return found
    from sandbox.settings import sandbox_settings

    return sandbox_settings(found)


def app_from_environment() -> Starlette:
    """For server processes: each reads the settings anew."""
    from gateway.app import create_app
    from gateway.logs import configure_logs

    found = read_settings()
    configure_logs(found.log_level)
    return create_app(found)


def _must_be_complete(found: Settings) -> None:
    missing = found.missing()
    if missing:
        raise SettingsError(
            f"These settings are missing: {', '.join(missing)}. "
            "`card-gateway settings` explains them; `--sandbox` needs none."
        )


def _must_be_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}.") from None


def _prepare_database(found: Settings) -> None:
    from core import migrations

    _must_be_writable(found)
    if asyncio.run(migrations.revision(found.database_url)) == migrations.HEAD:
        return
    if not found.sandbox:
        raise SettingsError(
            "The database is not at the newest revision: run `card-gateway migrate`."
        )
    migrations.migrate(found.database_url)


def _must_be_writable(found: Settings) -> None:
    url = make_url(found.database_url)
    folders = [found.objects_dir]
    if url.get_backend_name() == "sqlite":
        folders.append(Path(str(url.database)).parent)
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"The folder {folder} cannot be made: {error.strerror}.") from None
        if not os.access(folder, os.W_OK):
            raise SettingsError(f"The folder {folder} cannot be written to.")


def _run_server(found: Settings) -> None:
    import uvicorn

    from gateway.logs import configure_logs

    configure_logs(found.log_level)
    options = {
        "host": found.host,
        "port": found.port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "ws_max_size": found.max_body_bytes,
        "timeout_graceful_shutdown": 5,
    }
    if found.workers > 1:
        uvicorn.run(
            "gateway.cli:app_from_environment", factory=True, workers=found.workers, **options
        )
        return
    app = app_from_environment()
    gc.collect()
    gc.freeze()
    uvicorn.run(app, **options)


def _greet(found: Settings) -> None:
    address = found.address
    query = "{ channels { name entrySteps { order instruction } } }"
    print(
        f"""
成都社会保障卡网关 · Chengdu card gateway, with its sandbox

  沙盒   {address}/sandbox/     the three apps, the SMS inbox, the issuer's desk
  调试台 {address}/graphql      GraphiQL

A first query:

  curl -s {address}/graphql -H 'Content-Type: application/json' \\
    -d '{{"query": "{query}"}}'

Ctrl-C stops it.
""",
        flush=True,
    )


def _stop(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(1)
