"""Statements for any of many values, asked for in lists of one length: each is prepared once."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, bindparam

from core.db.database import Query, Reader, Row

_AT_ONCE = 500


def in_batch(column: Any) -> ColumnElement[bool]:
    """The condition to build such a statement with."""
    condition: ColumnElement[bool] = column.in_(
        [bindparam(f"any{number}") for number in range(_AT_ONCE)]
    )
    return condition


async def fetch_in(
    db: Reader, query: Query, values: Iterable[bytes | int | str], **others: str | int
) -> list[Row]:
    """The rows that match any of the values."""
    rest, rows = list(values), []
    for start in range(0, len(rest), _AT_ONCE):
        some = rest[start : start + _AT_ONCE]
        some += some[-1:] * (_AT_ONCE - len(some))
        named = {f"any{number}": value for number, value in enumerate(some)}
        rows += await db.fetch(query, **named, **others)
    return rows
