"""`card-gateway outbox`: what waits to be delivered, and what could not be. No personal data."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from core import outbox as effects
from core import settlements
from core.clock import CHINA, Instant, moment
from core.database import Database, Transaction
from core.encryption import CannotOpen
from core.outbox import OpenEffect
from core.settings import SettingsError
from core.unit import Tools, Unit

T = TypeVar("T")

outbox = typer.Typer(no_args_is_help=True, help="What is to be delivered to partners.")

_SANDBOX = typer.Option("--sandbox", help="The sandbox's data.")
_ID = typer.Argument(metavar="ID", help="As `outbox list` shows it.")


@outbox.command("list")
def list_effects(
    most: Annotated[int, typer.Option(min=1, help="At most so many.")] = 200,
    parked: Annotated[bool, typer.Option("--parked", help="Only what is parked.")] = False,
    sandbox: Annotated[bool, _SANDBOX] = False,
) -> None:
    """Shows what is not delivered, oldest first.

    waiting: due at the time shown. unknown: the partner may have taken it, and is asked.
    parked: given up; `retry` takes it up again, `drop` ends it.
    """

    async def show(database: Database, _: Tools, __: Instant) -> list[OpenEffect]:
        return await effects.open_effects(database, most)

    shown = [effect for effect in _with_database(show, sandbox) if effect.parked_at or not parked]
    print(f"{'ID':<20}{'KIND':<17}{'STATE':<9}{'TRIES':>5}  {'SINCE':<20}{'DUE':<20}WHY")
    for effect in shown:
        print(
            f"{effect.id:<20}{effect.kind:<17}{effect.state:<9}{effect.attempts:>5}"
            f"  {_time(effect.created_at):<20}{_time(effect.due_at):<20}{effect.failure or ''}"
        )
    print(f"{len(shown)} shown.")


@outbox.command()
def retry(
    effect_id: Annotated[int | None, _ID] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are parked.")] = False,
    sandbox: Annotated[bool, _SANDBOX] = False,
) -> None:
    """Takes parked effects up again. Where the outcome is unknown the partner is asked first."""
    if (effect_id is None) is not every:
        raise SettingsError("Name one ID, or --all.")

    async def take_up(database: Database, _: Tools, now: Instant) -> int:
        found = await effects.open_effects(database, 1_000_000)
        ids = [e.id for e in found if e.parked_at and effect_id in (None, e.id)]

        async def job(db: Transaction) -> int:
            return sum([await effects.retry(db, one, now) for one in ids])

        return await database.write(job)

    count = _with_database(take_up, sandbox)
    print(f"{count} taken up again.")
    if effect_id is not None and not count:
        raise SystemExit(1)


@outbox.command()
def drop(
    effect_id: Annotated[int, _ID],
    sandbox: Annotated[bool, _SANDBOX] = False,
) -> None:
    """Ends a parked effect for good.

    An order or a move that is dropped is undone here and the citizen is told, as when the
    partner refuses it: drop one only if the partner has not taken it.
    """

    async def end(database: Database, tools: Tools, now: Instant) -> bool:
        async def job(db: Transaction) -> bool:
            effect = await effects.parked(db, tools.vault, effect_id)
            if effect is None:
                return False
            await settlements.refused(Unit(db, now, None, tools), effect, "DROPPED")
            return True

        return await database.write(job)

    try:
        dropped = _with_database(end, sandbox)
    except CannotOpen:
        raise SettingsError("Its key is gone: what it was about cannot be read.") from None
    if not dropped:
        print(f"No parked effect has the number {effect_id}.")
        raise SystemExit(1)
    print("Dropped.")


def _with_database(work: Callable[[Database, Tools, Instant], Awaitable[T]], sandbox: bool) -> T:
    import httpx

    from core.database import connect
    from gateway.app import build_tools
    from gateway.cli import must_be_migrated, read_settings
    from gateway.resolvers.context import system_clock

    found = read_settings(sandbox=sandbox)
    must_be_migrated(found)

    async def run() -> T:
        database = await connect(found.database_url)
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                return await work(database, build_tools(found, http), system_clock())
        finally:
            await database.close()

    return asyncio.run(run())


def _time(at: Instant) -> str:
    return f"{moment(at).astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
