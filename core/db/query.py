"""Statements: a `Query` is a SQLAlchemy Core statement, compiled once per dialect."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import cached_property
from operator import and_, eq
from typing import Any, Protocol, TypeAlias, TypeVar

from sqlalchemy import (
    BigInteger,
    BinaryExpression,
    BooleanClauseList,
    CheckConstraint,
    ColumnElement,
    Delete,
    Insert,
    Integer,
    MetaData,
    String,
    Table,
    Update,
    bindparam,
    event,
    insert,
)
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement, Executable

T = TypeVar("T")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


@event.listens_for(Table, "after_parent_attach")
def _check_lengths(table: Table, parent: MetaData) -> None:
    """SQLite does not enforce the length of a VARCHAR(n); a CHECK constraint does."""
    if parent is not metadata:
        return
    for column in table.columns:
        if isinstance(column.type, String) and column.type.length is not None:
            check = CheckConstraint(
                f"length({column.name}) <= {column.type.length}",
                name=f"ck_{table.name}_{column.name}_length",
            )
            table.append_constraint(check.ddl_if(dialect="sqlite"))


Id = BigInteger().with_variant(Integer(), "sqlite")
"""A row id. In SQLite only a column of type INTEGER can be an alias of the rowid."""


class UniqueViolation(Exception):
    """Another job wrote the same key first."""


class DatabaseUnavailable(Exception):
    """The database is busy, full, failing or unreachable; the job was rolled back."""


class CommitUnknown(DatabaseUnavailable):
    """The commit was under way when its answer was lost: everything may have been written, or nothing."""


class Row(Protocol):
    """The part of both drivers' rows that is used: values by column name."""

    def __getitem__(self, name: str, /) -> Any: ...


class Query:
    """A Core statement, compiled once per dialect. Values are passed by parameter name."""

    def __init__(self, build: Executable | Callable[[Any], Executable]) -> None:
        self._build = build
        self._compiled: dict[str, tuple[str, list[str], dict[str, Any]]] = {}
        self.columns: tuple[str, ...] = ()
        """Names of the result's columns, filled in at the first result on SQLite."""

    def compiled(self, dialect: Dialect) -> tuple[str, list[str], dict[str, Any]]:
        """The SQL text, the parameter names in order, and the values bound in the statement."""
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect)
        return found

    @cached_property
    def changes_one_row(self) -> bool:
        """Whether it adds one row, or names the one row that it changes by its whole key."""
        statement = (
            self._build if isinstance(self._build, Executable) else self._build(sqlite_insert)
        )
        if isinstance(statement, Insert):
            return statement.select is None
        if not isinstance(statement, (Update, Delete)):
            return False
        given = {
            condition.left
            for condition in _all_of(statement.whereclause)
            if isinstance(condition, BinaryExpression) and condition.operator is eq
        }
        return given.issuperset(statement.table.primary_key)

    def statement(self, dialect: Dialect) -> Executable:
        if isinstance(self._build, Executable):
            return self._build
        return self._build(postgres_insert if dialect.name == "postgresql" else sqlite_insert)

    def _compile(self, dialect: Dialect) -> tuple[str, list[str], dict[str, Any]]:
        statement = self.statement(dialect)
        assert isinstance(statement, ClauseElement)
        compiled = statement.compile(dialect=dialect)
        names = compiled.positiontup or []  # type: ignore[attr-defined]
        bound = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}  # type: ignore[attr-defined]
        return str(compiled), list(names), bound

    def arguments(self, dialect: Dialect, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        sql, names, bound = self._compiled.get(dialect.name) or self.compiled(dialect)
        if bound:
            values = {**bound, **values}
        return sql, [values[name] for name in names]

    def arguments_of_many(
        self, dialect: Dialect, rows: Iterable[Mapping[str, Any]]
    ) -> tuple[str, list[list[Any]]]:
        sql, names, bound = self.compiled(dialect)
        if bound:
            rows = [{**bound, **row} for row in rows]
        return sql, [[row[name] for name in names] for row in rows]


def _all_of(condition: ColumnElement[bool] | None) -> Iterable[ColumnElement[bool]]:
    """The conditions that all must be true."""
    if isinstance(condition, BooleanClauseList) and condition.operator is and_:
        return condition.clauses
    return () if condition is None else (condition,)


def insert_into(table: Table, *columns: str) -> Query:
    """An insert of the named columns, or of all of them."""
    names = columns or tuple(table.columns.keys())
    return Query(insert(table).values({name: bindparam(name) for name in names}))


class Reader(Protocol):
    def fetch(self, query: Query, /, **values: Any) -> Awaitable[list[Row]]: ...

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None: ...


class Transaction(Reader, Protocol):
    async def execute_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> None:
        """Executes a statement without results once per row, in one call."""


Job: TypeAlias = Callable[[Transaction], Coroutine[Any, Any, T]]
