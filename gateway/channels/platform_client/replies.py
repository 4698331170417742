"""Parsing of replies into typed records whose repr shows no values."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from gateway.channels.platform_client.breaker import PlatformFailed

R = TypeVar("R", bound="ReplyPart")


class ReplyPart(msgspec.Struct, frozen=True):
    """Holds tokens or personal data, so its repr names the type only."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def parser(kind: type[R]) -> Callable[[Any], R]:
    """The returned function raises `PlatformFailed` if a documented field is missing.

    Numbers are also accepted as text: the examples in the platforms' documents differ.
    """

    def parse(value: Any) -> R:
        try:
            return msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError as cause:
            raise PlatformFailed("unexpected reply") from cause

    return parse
