"""Shared by the commands: settings, the check for migrations, building the application."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

from core.kernel.clock import CHINA, Instant, moment
from core.kernel.settings import Settings, SettingsError, variable

if TYPE_CHECKING:
    from core.db import Reader
    from core.migrations import State
    from core.unit_of_work import UnitOfWork
    from gateway.resolvers.context import Application

T = TypeVar("T")

SANDBOX = typer.Option("--sandbox", help="The sandbox's data.")

OPERATOR = typer.Option("--operator", help="Your name, for the audit log.")

NOT_MIGRATED = "The database is not at the latest revision: run `card-gateway migrate`."
_UNKNOWN_REVISION = (
    "The database is at revision {revision}, which this version does not know: "
    "use the newer version that migrated it."
)


def operator_named(name: str) -> str:
    """A name for the audit log: printable, and at most 40 characters."""
    name = name.strip()
    if not name or len(name) > 40 or not name.isprintable():
        raise SettingsError("--operator needs a name of at most 40 printable characters.")
    return name


def read_settings(*, sandbox: bool = False) -> Settings:
    found = Settings.read()
    if not (sandbox or found.sandbox):
        return found
    from sandbox.precautions import require_intended
    from sandbox.settings import sandbox_settings

    require_intended(found)
    try:
        return sandbox_settings(found)
    except OSError as error:
        raise SettingsError(f"{error.filename} cannot be used: {error.strerror}.") from None


def require_complete_settings(found: Settings) -> None:
    missing = found.missing()
    if missing:
        raise SettingsError(
            f"These settings are missing: {', '.join(missing)}. "
            "`card-gateway settings` explains them; `--sandbox` needs none."
        )


def state_of_database(found: Settings) -> "State":
    """Raises `SettingsError` for a revision that only a newer version can have made."""
    from core import migrations

    state = asyncio.run(migrations.state(found.database_url))
    if state.revision not in (None, migrations.HEAD):
        raise SettingsError(_UNKNOWN_REVISION.format(revision=state.revision))
    return state


def require_migrated_database(found: Settings) -> "State":
    state = state_of_database(found)
    if state.revision is None:
        raise SettingsError(NOT_MIGRATED)
    return state


def other_partitions(found: Settings, state: "State") -> str | None:
    """One sentence, if the tables do not have the partitions that are set."""
    if state.revision is None or state.partitions == found.database_partitions:
        return None
    return (
        f"{variable('database_partitions')} is {found.database_partitions}, but the database was "
        f"migrated with {state.partitions}: set it to {state.partitions}, because only the first "
        "migration of an empty PostgreSQL database makes partitions."
    )


async def record_command(settings: Settings, command: str, operator: str) -> None:
    """Writes into the audit log who gave a command, for those that have no database open."""
    from core.audit import operators
    from core.db import connect
    from gateway.app import keys_from
    from gateway.resolvers.context import system_clock

    database = await connect(settings.database_url, settings.database_limits)
    try:
        await operators.record_command(
            database, keys_from(settings).seals, system_clock(), command, operator
        )
    finally:
        await database.close()


def with_application(work: "Callable[[Application], Awaitable[T]]", sandbox: bool) -> T:
    """Builds the application without starting its worker, and runs `work` with it."""
    from gateway.app import assembled

    found = read_settings(sandbox=sandbox)
    require_migrated_database(found)

    async def run() -> T:
        async with assembled(found) as application:
            return await work(application)

    return asyncio.run(run())


def china_time(at: Instant) -> str:
    return f"{moment(at).astimezone(CHINA):%Y-%m-%d %H:%M:%S}"


async def change(application: "Application", service: Callable[["UnitOfWork"], Awaitable[T]]) -> T:
    """Runs and commits a service in a unit of work without a caller."""
    from core.unit_of_work import UnitOfWork, perform

    now = application.clock()

    def new_unit(reader: "Reader") -> UnitOfWork:
        return UnitOfWork(reader, now, None, application.dependencies)

    _, result = await perform(application.database, new_unit, service)
    return result
