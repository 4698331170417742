"""Next step: what a citizen can do after a refusal, online or by phone."""

from dataclasses import dataclass

from core.kernel.card_services import CardService
from core.kernel.texts import Text

HOTLINE = "028-12333"
"""Chengdu's line for human resources and social security."""
NATIONAL_HOTLINE = "12333"
"""The national line, which also takes temporary losses."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """`message` says it in a sentence; `service` is one that will not refuse, `phone` whom to call.

    Without both, the message alone says what to do.
    """

    service: CardService | None
    message: Text
    phone: str | None = None


LOSS_BY_PHONE = NextStep(
    None,
    Text(
        "如社会保障卡已遗失，可拨打 12333 办理临时挂失。",
        "If your card is lost, you can report a temporary loss by calling 12333.",
    ),
    NATIONAL_HOTLINE,
)
