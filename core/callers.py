"""Who is calling: the channel, the session, and the person behind it once known."""

from dataclasses import dataclass, field
from enum import StrEnum


class ChannelId(StrEnum):
    """The app through which a citizen came."""

    WECHAT = "WECHAT"
    UNIONPAY = "UNIONPAY"
    PING_AN = "PING_AN"


class RealNameLevel(StrEnum):
    """How the person behind a session became known."""

    NONE = "NONE"
    BOUND = "BOUND"
    PLATFORM = "PLATFORM"


@dataclass(frozen=True, slots=True)
class Caller:
    """`address` is the network address; `citizen_id` is None until the person is known."""

    channel: ChannelId
    session_id: int
    citizen_id: int | None
    account_index: bytes = field(repr=False)
    level: RealNameLevel
    address: str = field(default="", repr=False)
