"""Whether a partner has confirmed an order or a transfer.

It is stored here first and sent to the partner through the outbox. The citizen sees 正在确认
until the partner has confirmed, also while the outcome of the call is unknown.
"""

from enum import StrEnum

from core.kernel.texts import Text


class Confirmation(StrEnum):
    CONFIRMED = "CONFIRMED"
    BEING_CONFIRMED = "BEING_CONFIRMED"
    REJECTED = "REJECTED"


CONFIRMATIONS: dict[str, Confirmation] = {status.value: status for status in Confirmation}
"""By stored value."""

CONFIRMATION_NAMES = {
    Confirmation.CONFIRMED: Text("已确认", "confirmed"),
    Confirmation.BEING_CONFIRMED: Text("正在确认", "being confirmed"),
    Confirmation.REJECTED: Text("未被受理", "not accepted"),
}
