"""Statements, and the protocols that both databases implement.

A `Query` is a SQLAlchemy Core statement, compiled once per dialect. `fetch` outside a job reads
committed data. `write(job)` runs `job(transaction)` and returns once its effects are durable; if
the job raises, everything it wrote is rolled back.

A job may await nothing but its transaction: on SQLite it runs in the driver's thread, on
PostgreSQL it holds row locks. See docs/adr/0002-batched-reads-and-group-commit.md.
"""

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Integer,
    MetaData,
    String,
    Table,
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

    def arguments(self, dialect: Dialect, values: dict[str, Any]) -> tuple[str, list[Any]]:
        sql, names, bound = self._compiled.get(dialect.name) or self.compiled(dialect)
        if bound:
            values = bound | values
        return sql, [values[name] for name in names]

    def arguments_of_many(
        self, dialect: Dialect, rows: Iterable[Mapping[str, Any]]
    ) -> tuple[str, list[list[Any]]]:
        sql, names, bound = self.compiled(dialect)
        assert not bound, "a statement for many rows must not bind values"
        return sql, [[row[name] for name in names] for row in rows]


class Lock(Query):
    """`SELECT … FOR UPDATE`. On SQLite it is skipped, because there is only one writer."""


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

    def savepoint(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Writes inside the block are rolled back when it raises."""


Job: TypeAlias = Callable[[Transaction], Coroutine[Any, Any, T]]


class Database(Reader, Protocol):
    dialect: Dialect

    async def write(self, job: Job[T]) -> T: ...

    async def close(self) -> None: ...
