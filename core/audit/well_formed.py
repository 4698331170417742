"""Which rows of the audit tables are well-formed. SQLite stores a value of any type in any column.

Verification reads well-formed rows alone, so that a forged value cannot end it, and names the others.
"""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    LargeBinary,
    String,
    Table,
    and_,
    select,
)
from sqlalchemy.ext.compiler import compiles

from core.db import Query

_LARGEST_ID = 2**63 - 1
_LARGEST = 2**62
"""Above every number and time, and far enough from the end of 64 bits to calculate with."""


class _Fits(ColumnElement[bool]):
    inherit_cache = False

    def __init__(self, column: Column[Any]) -> None:
        self.column = column
        self.type = Boolean()


class _AsBytes(ColumnElement[bytes]):
    """A text as SQLite stores it: it may be no UTF-8, which the driver refuses to read."""

    inherit_cache = False

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.column = column
        self.type = LargeBinary()


class _Shown(ColumnElement[bytes]):
    """A value of any type as a literal."""

    inherit_cache = False

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.column = column
        self.type = LargeBinary()


def _largest(element: _Fits) -> int:
    return _LARGEST_ID if str(element.column.name).endswith("_id") else _LARGEST


@compiles(_Fits)
def _fits(element: _Fits, compiler: Any, **options: Any) -> str:
    column = compiler.process(element.column, **options)
    if isinstance(element.column.type, Integer):
        return f"({column} >= 0 AND {column} <= {_largest(element)})"
    return f"({column} IS NOT NULL)"


@compiles(_Fits, "sqlite")
def _fits_sqlite(element: _Fits, compiler: Any, **options: Any) -> str:
    column = compiler.process(element.column, **options)
    if isinstance(element.column.type, Integer):
        largest = _largest(element)
        return f"(typeof({column}) = 'integer' AND {column} >= 0 AND {column} <= {largest})"
    stored = "text" if isinstance(element.column.type, String) else "blob"
    return f"(typeof({column}) = '{stored}')"


@compiles(_AsBytes)
def _as_text(element: _AsBytes, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.column, **options))


@compiles(_AsBytes, "sqlite")
def _as_bytes_sqlite(element: _AsBytes, compiler: Any, **options: Any) -> str:
    return f"CAST({compiler.process(element.column, **options)} AS BLOB)"


@compiles(_Shown)
def _shown(element: _Shown, compiler: Any, **options: Any) -> str:
    return f"CAST({compiler.process(element.column, **options)} AS TEXT)"


@compiles(_Shown, "sqlite")
def _shown_sqlite(element: _Shown, compiler: Any, **options: Any) -> str:
    column = compiler.process(element.column, **options)
    return f"CAST(substr(quote({column}), 1, 40) AS BLOB)"


def as_bytes(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Selects a text so that `text_of` can read it, whatever stands there."""
    return _AsBytes(column)


def text_of(value: object) -> str | None:
    """A value selected by `as_bytes`, or None if it is no UTF-8."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    return value if isinstance(value, str) else None


def well_formed(table: Table) -> FromClause:
    """The table's well-formed rows, their texts as by `as_bytes`."""
    columns = [
        as_bytes(column).label(column.name) if isinstance(column.type, String) else column
        for column in table.columns
    ]
    return (
        select(*columns).select_from(table).where(fits(table)).subquery(f"well_formed_{table.name}")
    )


def malformed(table: Table, limit: int) -> Query:
    """The keys of the other rows, as literals."""
    keys = [_Shown(column).label(column.name) for column in table.primary_key]
    return Query(select(*keys).select_from(table).where(fits(table).is_not(True)).limit(limit))


def shown(literal: object) -> str:
    """Fit for a terminal, whatever its bytes are."""
    text = literal.decode(errors="replace") if isinstance(literal, bytes) else str(literal)
    return text.encode("unicode_escape").decode()


def fits(table: Table) -> ColumnElement[bool]:
    """Whether a row is well-formed."""
    return and_(*[_Fits(column) for column in table.columns])
