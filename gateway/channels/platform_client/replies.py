"""What a platform's reply must hold, as a typed record that never shows its values."""

from typing import Any, TypeVar

import msgspec

from gateway.channels.platform_client.breaker import PlatformFailed

R = TypeVar("R", bound="ReplyPart")


class ReplyPart(msgspec.Struct, frozen=True):
    """Tokens and personal data pass through these records, so their repr names the type only."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def part(kind: type[R], value: Any) -> R:
    """Raises `PlatformFailed` for a reply without the fields that the platform documents.

    Numbers are also taken as text, as the platforms' own examples are not of one mind.
    """
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as cause:
        raise PlatformFailed("unexpected reply") from cause
