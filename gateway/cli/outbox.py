"""`card-gateway outbox`: undelivered messages and dead letters. Shows no personal data."""

from typing import Annotated

import typer

from core.crypto import CannotOpen
from core.db import Transaction
from core.kernel.settings import SettingsError
from core.messaging import OpenMessage, outcomes
from core.messaging import outbox as messages
from core.unit_of_work import UnitOfWork
from gateway.cli.common import SANDBOX, china_time, with_application
from gateway.resolvers.context import Application

outbox = typer.Typer(no_args_is_help=True, help="Messages to partners and citizens.")

_ID = typer.Argument(metavar="ID", help="As `outbox list` shows it.")


@outbox.command("list")
def list_messages(
    most: Annotated[int, typer.Option(min=1, help="At most so many.")] = 200,
    dead: Annotated[bool, typer.Option("--dead", help="Only dead letters.")] = False,
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Lists undelivered messages, oldest first.

    waiting: due at the time shown. unknown: the partner may have processed it, and is queried.
    dead: dead letter; `retry` delivers it again, `drop` ends it.
    """

    async def show(application: Application) -> list[OpenMessage]:
        return await messages.open_messages(application.database, most)

    shown = [message for message in with_application(show, sandbox) if message.dead_at or not dead]
    print(f"{'ID':<20}{'KIND':<17}{'STATE':<9}{'TRIES':>5}  {'SINCE':<20}{'DUE':<20}WHY")
    for message in shown:
        print(
            f"{message.id:<20}{message.kind:<17}{message.state:<9}{message.attempts:>5}"
            f"  {china_time(message.created_at):<20}{china_time(message.due_at):<20}{message.failure or ''}"
        )
    print(f"{len(shown)} shown.")


@outbox.command()
def retry(
    message_id: Annotated[int | None, _ID] = None,
    every: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Delivers dead letters again. If the outcome is unknown, the partner is queried first."""
    if (message_id is None) is not every:
        raise SettingsError("Name one ID, or --all.")

    async def deliver_again(application: Application) -> int:
        database, now = application.database, application.clock()
        found = await messages.open_messages(database, 1_000_000)
        ids = [e.id for e in found if e.dead_at and message_id in (None, e.id)]

        async def job(db: Transaction) -> int:
            return sum([await messages.retry(db, one, now) for one in ids])

        return await database.write(job)

    count = with_application(deliver_again, sandbox)
    print(f"{count} will be delivered again.")
    if message_id is not None and not count:
        raise SystemExit(1)


@outbox.command()
def drop(
    message_id: Annotated[int, _ID],
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Drops a dead letter for good.

    A dropped order or move is compensated and the citizen is notified, as if the partner had
    rejected it: drop one only if the partner has not processed it.
    """

    async def end(application: Application) -> bool:
        dependencies, now = application.dependencies, application.clock()

        async def job(db: Transaction) -> bool:
            message = await messages.dead_letter_of(db, dependencies.vault, message_id)
            if message is None:
                return False
            await outcomes.compensate(UnitOfWork(db, now, None, dependencies), message, "DROPPED")
            return True

        return await application.database.write(job)

    try:
        dropped = with_application(end, sandbox)
    except CannotOpen:
        raise SettingsError("It cannot be decrypted: its key was removed.") from None
    if not dropped:
        print(f"No dead letter has the id {message_id}.")
        raise SystemExit(1)
    print("Dropped.")
