"""`IN` with many values, in chunks of one fixed length, so that each statement is prepared once."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, bindparam

from core.db.query import Query, Reader, Row

_CHUNK = 500


def in_batch(column: Any, chunk: int = _CHUNK) -> ColumnElement[bool]:
    """`column IN (…)` with as many parameters as a chunk has, which `fetch_in` fills."""
    condition: ColumnElement[bool] = column.in_(
        [bindparam(f"any{number}") for number in range(chunk)]
    )
    return condition


async def fetch_in(
    db: Reader,
    query: Query,
    values: Iterable[bytes | int | str],
    chunk: int = _CHUNK,
    **others: str | int,
) -> list[Row]:
    """The rows that match any of the values; the last value pads the last chunk."""
    rest, rows = list(values), []
    for start in range(0, len(rest), chunk):
        some = rest[start : start + chunk]
        some += some[-1:] * (chunk - len(some))
        named = {f"any{number}": value for number, value in enumerate(some)}
        rows += await db.fetch(query, **named, **others)
    return rows
