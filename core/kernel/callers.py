"""The caller: channel, session and, once known, citizen."""

import re
from enum import StrEnum
from typing import Self

from msgspec import Struct

from core.kernel.lengths import CHANNEL_ID

_ID = re.compile(rf"[A-Z][A-Z_]{{0,{CHANNEL_ID - 1}}}")


class ChannelId(StrEnum):
    """The app through which a citizen enters: one of the three in the guide, or an additional one."""

    WECHAT = "WECHAT"
    UNIONPAY = "UNIONPAY"
    PING_AN = "PING_AN"

    @classmethod
    def further(cls, value: str) -> Self:
        """Registers the id of a channel that is not in the guide; called by its adapter."""
        if _ID.fullmatch(value) is None:
            raise ValueError(f"a channel's id is 1 to {CHANNEL_ID} capital letters, not {value!r}")
        if value in cls.__members__:
            raise ValueError(f"{value} is the id of another channel")
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return _further.setdefault(value, member)

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return _further.get(value)  # type: ignore[call-overload, no-any-return]


_further: dict[str, ChannelId] = {}
CHANNELS: dict[str, ChannelId] = {channel.value: channel for channel in ChannelId}
"""The three channels of the guide by their stored value."""


class RealNameLevel(StrEnum):
    """How the citizen behind a session was identified, from the lowest level to the highest."""

    NONE = "NONE"
    BOUND = "BOUND"
    PLATFORM = "PLATFORM"


LEVELS: dict[str, RealNameLevel] = {level.value: level for level in RealNameLevel}
"""By stored value."""


class Caller(Struct, frozen=True):
    """`address` is the network address; `citizen_id` is None until the citizen is known."""

    channel: ChannelId
    session_id: int
    citizen_id: int | None
    account_index: bytes
    level: RealNameLevel
    address: str = ""

    @property
    def subject_id(self) -> int:
        """Whose rows the caller's are: the citizen's, or the session's own until one is known."""
        return self.citizen_id or self.session_id

    def __repr__(self) -> str:
        """Omits account and address."""
        return f"Caller({self.channel}, session_id={self.session_id}, citizen_id={self.citizen_id})"
