"""`card-gateway`: what operators type."""

import asyncio
import gc
import multiprocessing
import os
import socket
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn, cast

import typer
from sqlalchemy import make_url
from starlette.applications import Starlette

from core import memory
from core.database import DatabaseUnavailable
from core.objects import ObjectsUnavailable
from core.settings import PREFIX, Secret, Settings, SettingsError, key_ring, variable
from gateway.issuer_events_command import issuer_events
from gateway.outbox_command import outbox
from gateway.wechat_menu_command import wechat_menu

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


cli.add_typer(wechat_menu, name="wechat-menu")
cli.add_typer(outbox, name="outbox")
cli.add_typer(issuer_events, name="issuer-events")


def main() -> None:
    try:
        cli()
    except (SettingsError, DatabaseUnavailable, ObjectsUnavailable) as error:
        _stop(str(error))


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes.")] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Stand in for the outside world.")
    ] = False,
    worker: Annotated[
        bool | None,
        typer.Option(
            "--worker/--no-worker",
            help="Deliver the outbox and do scheduled work in the server. [on]",
        ),
    ] = None,
) -> None:
    """Serves the gateway."""
    given = {
        "host": host,
        "port": port,
        "workers": workers,
        "sandbox": sandbox or None,
        "worker": worker,
    }
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
def work(
    sandbox: Annotated[bool, typer.Option("--sandbox", help="On the sandbox's data.")] = False,
) -> None:
    """Delivers the outbox and does scheduled work, apart from the server.

    Any number may run, on any machine that reaches the database. The servers are then started
    with --no-worker.
    """
    from gateway.logs import configure_logs
    from gateway.work import work_until_stopped

    found = read_settings(sandbox=sandbox)
    if not found.sandbox:
        _must_be_complete(found)
    must_be_migrated(found)
    configure_logs(found.log_level)
    asyncio.run(work_until_stopped(found))


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


@cli.command("operation-manifest")
def operation_manifest(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.graphql…", help="UTF-8.")],
) -> None:
    """Prints a manifest of the documents in these files: SHA-256 and text.

    It is refused while one document may not run. CARD_GATEWAY_OPERATION_MANIFEST names it.
    """
    from gateway.operation_manifest import manifest_of

    print(manifest_of(files))


@cli.command("import-cards")
def import_cards(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="UTF-8, with a heading line.")],
    errors: Annotated[
        Path | None, typer.Option(help="Write bad lines into this CSV file, not to the terminal.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=20_000, help="Lines in one transaction.")] = 5000,
    journal: Annotated[
        Path | None, typer.Option(help="Where the import notes how far it is. [FILE.csv.journal]")
    ] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Into the sandbox's data.")] = False,
) -> None:
    """Imports cards and their holders.

    Columns, named in the heading in any order:

    \b
    name                    as on the ID card
    social_security_number  18 characters, with its check character
    phone                   11 digits, or empty
    card_number             9 letters or digits
    state                   AAZ502 code or name: 0 SEALED, 1 ACTIVE, 2 LOST,
                            3 LOCKED, 4 TEMPORARILY_LOST, 9 CANCELLED
    bank_code               a code of the banks' table
    issue_date              YYYY-MM-DD
    batch_number            up to 64 characters, or empty
    region_code             GB/T 2260 of the city; 510100 where empty or left out

    Every bad line is reported and passed over; the exit code is then 1. An import that was
    interrupted goes on where its last batch ended when it is started again.
    """
    from core.imports import WrongFile
    from gateway import imports

    found = read_settings(sandbox=sandbox)
    must_be_migrated(found)
    journal = journal or file.with_name(file.name + ".journal")
    # A batch is some ten thousand objects without a cycle: no need to search them for one.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        end = asyncio.run(imports.import_cards(found, file, errors, journal, batch))
    except WrongFile as error:
        raise SettingsError(str(error)) from None
    except KeyboardInterrupt:
        raise SettingsError(
            "Interrupted: the same command goes on where the last batch ended."
        ) from None
    print(f"{end.added:,} cards added, {end.already:,} already there, {end.bad:,} bad lines.")
    if end.bad:
        raise SystemExit(1)


@cli.command("import-outlets")
def import_outlets(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv", help="UTF-8: code,name,address,district_code,bank_codes"
        ),
    ],
    banks: Annotated[Path | None, typer.Option(help="UTF-8: code,name")] = None,
) -> None:
    """Checks the pickup outlets, and puts them where CARD_GATEWAY_OUTLETS_CSV says.

    The gateway reads them when it starts. Nothing is replaced while one line is bad.
    """
    from gateway import imports

    found = read_settings()
    count = imports.import_outlets(found, file, banks)
    if count is None:
        raise SystemExit(1)
    print(f"{count:,} outlets are in {found.outlets_csv}; the gateway reads them when it starts.")


@cli.command("verify-audit")
def verify_audit(
    anchor: Annotated[
        str, typer.Option(metavar="NUMBER:MARK", help="An anchor that was kept elsewhere.")
    ] = "",
    sandbox: Annotated[bool, typer.Option("--sandbox", help="The sandbox's data.")] = False,
) -> None:
    """Checks every person's chain of audit entries, and the anchors over all of them.

    Prints the newest anchor. Keep it where the database's administrators cannot change it:
    with --anchor a later check finds whether everything up to it is still there.
    """
    found = read_settings(sandbox=sandbox)
    must_be_migrated(found)
    read, broken, newest = asyncio.run(_verify_audit(found, anchor))
    print(f"{read:,} persons checked, {broken:,} broken chains.")
    print(f"newest anchor: {newest or 'none yet'}")
    if broken:
        raise SystemExit(1)


@cli.command("anchor-audit")
def anchor_audit(
    sandbox: Annotated[bool, typer.Option("--sandbox", help="The sandbox's data.")] = False,
) -> None:
    """Anchors the audit chains now, and prints the newest anchor, to be kept elsewhere."""
    found = read_settings(sandbox=sandbox)
    must_be_migrated(found)
    print(asyncio.run(_anchor_audit(found)) or "There is nothing to anchor.")


async def _anchor_audit(found: Settings) -> str | None:
    from core import audit_anchors
    from core.database import connect
    from core.seals import Seals
    from gateway.resolvers.context import system_clock

    seals = Seals(key_ring(found.peppers, "peppers"), key_ring(found.audit_keys, "audit_keys"))
    database = await connect(found.database_url)
    try:
        await audit_anchors.anchor_all(database, seals, system_clock())
        newest = await audit_anchors.last(database)
    finally:
        await database.close()
    return None if newest is None else str(newest)


async def _verify_audit(found: Settings, anchor: str) -> tuple[int, int, str | None]:
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    from core import audit_anchors, audit_check
    from core.database import connect
    from core.seals import Seals

    seals = Seals(key_ring(found.peppers, "peppers"), key_ring(found.audit_keys, "audit_keys"))
    read = broken = 0
    database = await connect(found.database_url)
    shown = TextColumn("{task.completed:,} persons checked")
    try:
        with Progress(shown, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=None)
            async for step in audit_check.verify(database, seals, anchor):
                if isinstance(step, int):
                    read = step
                    progress.update(task, completed=read)
                else:
                    broken += 1
                    print(step)
            newest = await audit_anchors.last(database)
    finally:
        await database.close()
    return read, broken, None if newest is None else str(newest)


@cli.command("rotate-keys")
def rotate_keys(
    sandbox: Annotated[bool, typer.Option("--sandbox", help="The sandbox's data.")] = False,
) -> None:
    """Makes anew, under the current keys, what older keys made; beside the running gateway.

    The first key of a setting is the current one, see docs/keys.md for the whole order of steps.
    What was interrupted goes on when the command is started again. The exit code is 1 while
    something is left under an older key.
    """
    from gateway import keys

    found = read_settings(sandbox=sandbox)
    must_be_migrated(found)
    try:
        complete = asyncio.run(keys.rotate_keys(found))
    except KeyboardInterrupt:
        raise SettingsError("Interrupted: the same command goes on where it ended.") from None
    if not complete:
        raise SystemExit(1)


@cli.command()
def migrate() -> None:
    """Brings the database to the newest revision."""
    from core import migrations

    migrations.migrate(read_settings().database_url)
    print("The database is at the newest revision.")


def read_settings(*, sandbox: bool = False) -> Settings:
    found = Settings.read()
    if not found.database_url.startswith(("sqlite:///", "postgresql://", "postgresql+")):
        raise SettingsError(
            f"{variable('database_url')} must be sqlite:///path or postgresql://user@host/name."
        )
    if not (sandbox or found.sandbox):
        return found
    from sandbox.settings import sandbox_settings

    try:
        return sandbox_settings(found)
    except OSError as error:
        raise SettingsError(f"{error.filename} cannot be used: {error.strerror}.") from None


def app_from_environment() -> Starlette:
    """For server processes: each reads the settings anew."""
    from gateway.app import create_app
    from gateway.logs import configure_logs

    found = read_settings()
    configure_logs(found.log_level)
    memory.keep_no_large_blocks()
    app = create_app(found)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    return app


# A full search for cycles stops everything for 100 ms and more where a thousand subscriptions
# are open, and by default comes every few seconds. Requests leave next to no cycles behind.
_GARBAGE_THRESHOLDS = (10_000, 20, 50)


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
        raise SettingsError(_NOT_MIGRATED)
    _migrate_apart(found.database_url)


def _migrate_apart(url: str) -> None:
    """In a process of its own, whose 40 MB the server need not keep.

    Forked, because what it needs is imported here already: no thread runs yet.
    """
    from core import migrations

    process = multiprocessing.get_context("fork").Process(target=migrations.migrate, args=(url,))
    process.start()
    import gateway.app  # noqa: F401 - the server needs it next

    process.join()
    if process.exitcode != 0:
        raise SettingsError("The database could not be brought to the newest revision.")


_NOT_MIGRATED = "The database is not at the newest revision: run `card-gateway migrate`."


def must_be_migrated(found: Settings) -> None:
    from core import migrations

    if asyncio.run(migrations.revision(found.database_url)) != migrations.HEAD:
        raise SettingsError(_NOT_MIGRATED)


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

    from gateway.http.lane_protocol import LaneProtocol
    from gateway.http.patience import Patience, PatientSockets, room_for_connections
    from gateway.logs import configure_logs

    configure_logs(found.log_level)
    patience = Patience(
        seconds=found.read_seconds,
        least_rate=found.least_upload_rate,
        most_connections=room_for_connections(found.most_connections),
    )
    app: Starlette | str = "gateway.cli:app_from_environment"
    if found.workers == 1:
        app = app_from_environment()
    uvicorn.run(
        app,
        factory=isinstance(app, str),
        workers=found.workers,
        host=found.host,
        port=found.port,
        http=cast("type[asyncio.Protocol]", partial(LaneProtocol, patience=patience)),
        ws=PatientSockets,
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=found.max_body_bytes,
        # 60 KB a socket and half of its processor time, for messages of one or two kilobytes.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
        timeout_worker_healthcheck=60,
    )


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
