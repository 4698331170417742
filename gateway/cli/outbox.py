"""`card-gateway outbox`: undelivered messages and dead letters. Shows no personal data."""

from typing import Annotated

import typer

from core import audit
from core.crypto import CannotOpen
from core.db import Database, Transaction
from core.kernel.ids import id_from
from core.kernel.settings import SettingsError
from core.messaging import OpenMessage, outcomes
from core.messaging import outbox as messages
from core.unit_of_work import UnitOfWork
from gateway.cli.common import (
    OPERATOR,
    SANDBOX,
    change,
    china_time,
    operator_named,
    with_application,
)
from gateway.resolvers.context import Application

outbox = typer.Typer(no_args_is_help=True, help="Messages to partners and citizens.")

_ID = typer.Argument(
    metavar="ID", help="As `outbox list` shows it: of the subject and the message."
)


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
    print(f"{'ID':<40}{'KIND':<17}{'STATE':<9}{'TRIES':>5}  {'SINCE':<20}{'DUE':<20}WHY")
    for message in shown:
        print(
            f"{_shown(message):<40}{message.kind:<17}{message.state:<9}{message.attempts:>5}"
            f"  {china_time(message.created_at):<20}{china_time(message.due_at):<20}{message.failure or ''}"
        )
    print(f"{len(shown)} shown.")


@outbox.command()
def retry(
    message: Annotated[str | None, _ID] = None,
    every: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
    *,
    operator: Annotated[str, OPERATOR],
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Delivers dead letters again. If the outcome is unknown, the partner is queried first."""
    if (message is None) is not every:
        raise SettingsError("Name one ID, or --all.")
    name = operator_named(operator)

    async def deliver_again(application: Application) -> int:
        database, now = application.database, application.clock()
        keys = [_key_from(message)] if message is not None else await _dead_keys(database)
        again = 0
        for subject_id, message_id in keys:

            async def deliver(
                db: Transaction, subject_id: int = subject_id, message_id: int = message_id
            ) -> bool:
                if not await messages.retry(
                    db, subject_id=subject_id, message_id=message_id, now=now
                ):
                    return False
                seals = application.dependencies.seals
                await audit.operators.extend(db, seals, subject_id, now, "outbox retry", name)
                return True

            again += await database.write(deliver)
        return again

    count = with_application(deliver_again, sandbox)
    print(f"{count} will be delivered again.")
    if message is not None and not count:
        raise SystemExit(1)


@outbox.command()
def drop(
    message: Annotated[str, _ID],
    operator: Annotated[str, OPERATOR],
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Drops a dead letter for good.

    A dropped order or move is compensated and the citizen is notified, as if the partner had
    rejected it: drop one only if the partner has not processed it.
    """

    name = operator_named(operator)

    async def end(application: Application) -> bool:
        async def compensate(unit: UnitOfWork) -> bool:
            vault = unit.dependencies.vault
            dead = await messages.dead_letter_of(unit.db, vault, *_key_from(message))
            if dead is not None:
                await outcomes.compensate(unit, dead, "DROPPED")
                await audit.operators.record(unit, dead.subject_id, "outbox drop", name)
            return dead is not None

        return await change(application, compensate)

    try:
        dropped = with_application(end, sandbox)
    except CannotOpen:
        raise SettingsError("It cannot be decrypted: its key was removed.") from None
    if not dropped:
        print(f"No dead letter has the id {message}.")
        raise SystemExit(1)
    print("Dropped.")


def _shown(message: OpenMessage) -> str:
    return "-".join(map(str, message.key))


async def _dead_keys(database: Database) -> list[tuple[int, int]]:
    found = await messages.open_messages(database, 1_000_000)
    return [message.key for message in found if message.dead_at is not None]


def _key_from(shown: str) -> tuple[int, int]:
    """Subject and id; zeros, which no message has, for anything else."""
    subject_id, _, message_id = shown.partition("-")
    return id_from(subject_id), id_from(message_id)
