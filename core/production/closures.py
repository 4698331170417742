"""Why an order ended without a card in its holder's hands."""

from enum import StrEnum
from typing import NamedTuple

from core.kernel.clock import Instant
from core.kernel.texts import Text


class CloseReason(StrEnum):
    """WITHDRAWN and NOT_ACCEPTED are ours; the others are the card issuer's or an operator's."""

    WITHDRAWN = "WITHDRAWN"
    NOT_ACCEPTED = "NOT_ACCEPTED"
    CANNOT_BE_MADE = "CANNOT_BE_MADE"
    DECEASED = "DECEASED"
    EMIGRATED = "EMIGRATED"
    RELATION_ENDED = "RELATION_ENDED"
    NOT_COLLECTED = "NOT_COLLECTED"
    REPLACED = "REPLACED"


CLOSE_REASONS: dict[str, CloseReason] = {reason.value: reason for reason in CloseReason}
"""By stored value."""

CLOSE_REASON_NAMES = {
    CloseReason.WITHDRAWN: Text("本人取消申请", "Cancelled by the citizen"),
    CloseReason.NOT_ACCEPTED: Text("制卡中心未受理", "Not accepted by the card issuer"),
    CloseReason.CANNOT_BE_MADE: Text("无法制卡", "The card cannot be made"),
    CloseReason.DECEASED: Text("持卡人已故", "The holder has died"),
    CloseReason.EMIGRATED: Text("出境定居", "The holder has settled abroad"),
    CloseReason.RELATION_ENDED: Text("社会保险关系终止", "The insurance relation has ended"),
    CloseReason.NOT_COLLECTED: Text("逾期未领取", "Not collected in time"),
    CloseReason.REPLACED: Text("已换发新卡", "Replaced by another card"),
}

REPORTED = frozenset(CloseReason) - {CloseReason.WITHDRAWN, CloseReason.NOT_ACCEPTED}
"""What the card issuer may report, and an operator may name."""


class Closure(NamedTuple):
    reason: CloseReason
    at: Instant
