"""`IN` with many values, in chunks of one fixed length, so that each statement is prepared once."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, bindparam

from core.db.query import Query, Reader, Row

_CHUNK = 500


def in_batch(column: Any) -> ColumnElement[bool]:
    """`column IN (…)` with parameters that `fetch_in` fills."""
    condition: ColumnElement[bool] = column.in_(
        [bindparam(f"any{number}") for number in range(_CHUNK)]
    )
    return condition


async def fetch_in(
    db: Reader, query: Query, values: Iterable[bytes | int | str], **others: str | int
) -> list[Row]:
    """The rows that match any of the values; the last value pads the last chunk."""
    rest, rows = list(values), []
    for start in range(0, len(rest), _CHUNK):
        some = rest[start : start + _CHUNK]
        some += some[-1:] * (_CHUNK - len(some))
        named = {f"any{number}": value for number, value in enumerate(some)}
        rows += await db.fetch(query, **named, **others)
    return rows
