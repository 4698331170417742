"""What is known of an effect at a partner: shown to the citizen as it is, never guessed.

An order or a move is written here and told to the partner by the outbox. Until the partner
has confirmed it, whether its answer is on the way, stayed out or cannot be had, the citizen
sees 正在确认.
"""

from enum import StrEnum

from core.kernel.refusals import Text


class Confirmation(StrEnum):
    CONFIRMED = "CONFIRMED"
    BEING_CONFIRMED = "BEING_CONFIRMED"
    REJECTED = "REJECTED"


CONFIRMATIONS: dict[str, Confirmation] = {known.value: known for known in Confirmation}
"""By what stands in a row."""

CONFIRMATION_NAMES = {
    Confirmation.CONFIRMED: Text("已确认", "confirmed"),
    Confirmation.BEING_CONFIRMED: Text("正在确认", "being confirmed"),
    Confirmation.REJECTED: Text("未被受理", "not accepted"),
}
