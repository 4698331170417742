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
