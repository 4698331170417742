"""`card-gateway close-order` and `correct-death`: what only a desk can do for a citizen."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from core.kernel.clock import china_date
from core.kernel.refusals import ApplicationClosed, NoSuchApplication
from core.kernel.settings import SettingsError
from core.reference import is_id_number, spelling
from gateway.cli.common import OPERATOR, SANDBOX, change, operator_named, with_application
from gateway.resolvers.context import system_clock

if TYPE_CHECKING:
    from gateway.resolvers.context import Application


class Reason(StrEnum):
    CANNOT_BE_MADE = "CANNOT_BE_MADE"
    DECEASED = "DECEASED"
    EMIGRATED = "EMIGRATED"
    RELATION_ENDED = "RELATION_ENDED"
    NOT_COLLECTED = "NOT_COLLECTED"
    REPLACED = "REPLACED"


def close_order(
    application_number: Annotated[str, typer.Argument(metavar="APPLICATION_NUMBER")],
    reason: Annotated[Reason, typer.Option(help="Why; the citizen is told.")],
    operator: Annotated[str, OPERATOR],
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Closes an order that neither the citizen nor the card issuer can go on with.

    The citizen can then apply again, or restore or replace a lost card. A card that waits to be
    collected is cancelled, and the card issuer is told. The operator stands in the audit log.
    """
    from core.production import CloseReason
    from core.services.close_order import CloseOrder
    from core.services.close_order import close_order as service

    command = CloseOrder(application_number, CloseReason(reason), operator_named(operator))

    async def work(application: "Application") -> str | None:
        try:
            await change(application, lambda unit: service(unit, command))
        except NoSuchApplication:
            return "No application has this number."
        except ApplicationClosed:
            return "Nothing to close: it is closed already, or its card is in use."
        return None

    refused = with_application(work, sandbox)
    if refused is not None:
        raise SettingsError(refused)
    print("Closed.")


def correct_death(
    operator: Annotated[str, OPERATOR],
    social_security_number: Annotated[
        str,
        typer.Option(
            prompt="Social security number",
            hide_input=True,
            help="Asked for if left out, so that it stands in no shell history.",
        ),
    ],
    sandbox: Annotated[bool, SANDBOX] = False,
) -> None:
    """Corrects a record of a death that was wrong: the person can sign in and apply again.

    Cards that were cancelled stay so. The operator stands in the audit log.
    """
    from core.services.correct_death import CorrectDeath
    from core.services.correct_death import correct_death as service

    number = spelling.upper(social_security_number)
    if not is_id_number(number, china_date(system_clock())):
        raise SettingsError(
            "This is no social security number: 18 characters, with its check character."
        )
    command = CorrectDeath(number, operator_named(operator))

    async def work(application: "Application") -> bool:
        return await change(application, lambda unit: service(unit, command))

    if not with_application(work, sandbox):
        raise SettingsError("Nobody with this number is recorded as dead.")
    print("Corrected.")
