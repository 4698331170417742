"""`card-gateway outbox`: what waits to be delivered, and what could not be. No personal data."""

from typing import Annotated

import typer

from core.crypto import CannotOpen
from core.db import Transaction
from core.kernel.settings import SettingsError
from core.messaging import OpenEffect, outcomes
from core.messaging import outbox as effects
from core.unit_of_work import Unit
from gateway.cli.common import SANDBOX, china_time, with_application
from gateway.resolvers.context import Application

outbox = typer.Typer(no_args_is_help=True, help="What is to be delivered to partners.")

_ID = typer.Argument(metavar="ID", help="As `outbox list` shows it.")


@outbox.command("list")
def list_effects(
    most: Annotated[int, typer.Option(min=1, help="At most so many.")] = 200,
    parked: Annotated[bool, typer.Option("--parked", help="Only what is parked.")] = False,
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Shows what is not delivered, oldest first.

    waiting: due at the time shown. unknown: the partner may have taken it, and is asked.
    parked: given up; `retry` takes it up again, `drop` ends it.
    """

    async def show(application: Application) -> list[OpenEffect]:
        return await effects.open_effects(application.database, most)

    shown = [effect for effect in with_application(show, sandbox) if effect.parked_at or not parked]
    print(f"{'ID':<20}{'KIND':<17}{'STATE':<9}{'TRIES':>5}  {'SINCE':<20}{'DUE':<20}WHY")
    for effect in shown:
        print(
            f"{effect.id:<20}{effect.kind:<17}{effect.state:<9}{effect.attempts:>5}"
            f"  {china_time(effect.created_at):<20}{china_time(effect.due_at):<20}{effect.failure or ''}"
        )
    print(f"{len(shown)} shown.")


@outbox.command()
def retry(
    effect_id: Annotated[int | None, _ID] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are parked.")] = False,
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Takes parked effects up again. Where the outcome is unknown the partner is asked first."""
    if (effect_id is None) is not every:
        raise SettingsError("Name one ID, or --all.")

    async def take_up(application: Application) -> int:
        database, now = application.database, application.clock()
        found = await effects.open_effects(database, 1_000_000)
        ids = [e.id for e in found if e.parked_at and effect_id in (None, e.id)]

        async def job(db: Transaction) -> int:
            return sum([await effects.retry(db, one, now) for one in ids])

        return await database.write(job)

    count = with_application(take_up, sandbox)
    print(f"{count} taken up again.")
    if effect_id is not None and not count:
        raise SystemExit(1)


@outbox.command()
def drop(
    effect_id: Annotated[int, _ID],
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Ends a parked effect for good.

    An order or a move that is dropped is undone here and the citizen is told, as when the
    partner refuses it: drop one only if the partner has not taken it.
    """

    async def end(application: Application) -> bool:
        tools, now = application.tools, application.clock()

        async def job(db: Transaction) -> bool:
            effect = await effects.parked(db, tools.vault, effect_id)
            if effect is None:
                return False
            await outcomes.refused(Unit(db, now, None, tools), effect, "DROPPED")
            return True

        return await application.database.write(job)

    try:
        dropped = with_application(end, sandbox)
    except CannotOpen:
        raise SettingsError("Its key is gone: what it was about cannot be read.") from None
    if not dropped:
        print(f"No parked effect has the number {effect_id}.")
        raise SystemExit(1)
    print("Dropped.")
