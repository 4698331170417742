"""Relay's pages: what all connections share."""

import base64
import binascii
from collections.abc import Sequence

import strawberry

from core.kernel.refusals import InvalidFormat
from core.kernel.texts import Text
from core.reference import LABELS

DEFAULT_FIRST = 20


@strawberry.type(description="分页信息 · Position of the page (Relay).")
class PageInfo:
    has_next_page: bool = strawberry.field(description="是否有下一页 · Whether older ones follow.")
    has_previous_page: bool = strawberry.field(
        description="是否有上一页 · Whether newer ones came before."
    )
    start_cursor: str | None = strawberry.field(description="首条游标 · Of the first edge.")
    end_cursor: str | None = strawberry.field(description="末条游标 · Of the last edge.")

    @classmethod
    def of(cls, cursors: Sequence[str], *, has_more: bool, is_first: bool) -> "PageInfo":
        return cls(
            has_next_page=has_more,
            has_previous_page=not is_first,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )


def cursor_of(place: str) -> str:
    return base64.b64encode(place.encode()).decode()


def place_of(cursor: str) -> str:
    """Empty if it cannot be a cursor of ours."""
    try:
        return base64.b64decode(cursor, validate=True).decode()
    except (ValueError, binascii.Error):
        return ""


def wrong_cursor() -> InvalidFormat:
    return InvalidFormat(
        field="after",
        label=LABELS["after"],
        rule=Text("请使用上一页返回的游标", "use a cursor of an earlier page"),
    )
