"""Prefetch: one SQL statement loads the session and the rows that the operation reads.

Most operations read their session and then one set of rows of its citizen. An operation that
declares which one gets both in one statement; the service's own reads are answered from memory.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import BigInteger, BindParameter, ColumnElement, and_, bindparam, select
from sqlalchemy.engine import Dialect

from core.cards import holders
from core.citizens import CALLER_COLUMNS, IS_OF_TOKEN, citizens, citizens_table, sessions_table
from core.db import Query, Reader, Row
from core.production import orders, production_orders_table

ASKS = "asks"
"""Metadata key under which a GraphQL field declares its `Prefetch`."""

Answer: TypeAlias = Callable[[Row, Mapping[str, Any]], list[Row]]
"""From the first prefetched row and a query's values, the query's rows."""


@dataclass(frozen=True, slots=True)
class Prefetch:
    """`query` selects by `citizen_id`; `with_session` joins the same rows to a session's citizen.

    `key` is a column that is NULL if the join found nothing. `also` are further queries about the
    session's subject that the columns of `with_session` answer.
    """

    query: Query
    with_session: Query
    key: str
    also: Mapping[Query, Answer] = field(default_factory=dict)

    def on(self, dialect: Dialect) -> "Prefetch":
        """Nothing besides on SQLite: a further statement costs less there than making JSON and reading it."""
        return HOLDER if self.also and dialect.name == "sqlite" else self


SUBJECT: BindParameter[int] = bindparam("session_subject", type_=BigInteger)
"""The session's subject in `with_session`."""
_holder = sessions_table.outerjoin(
    citizens_table, citizens_table.c.subject_id == sessions_table.c.subject_id
)
CARDS = Prefetch(
    holders.CARDS_OF_CITIZEN,
    Query(
        select(*CALLER_COLUMNS, *holders.CARD_COLUMNS)
        .select_from(holders.join_cards(_holder))
        .where(*IS_OF_TOKEN)
    ),
    "citizen_subject_id",
)
CITIZEN = Prefetch(
    citizens.WITH_HEAD,
    Query(
        select(*CALLER_COLUMNS, *citizens.WITH_HEAD_COLUMNS)
        .select_from(citizens.join_head(_holder))
        .where(*IS_OF_TOKEN)
    ),
    "subject_id",
)


def of_holder(*more: ColumnElement[Any], also: Mapping[Query, Answer] | None = None) -> Prefetch:
    """The holder, and what `more` columns read."""
    with_session = (
        select(*CALLER_COLUMNS, *holders.columns(SUBJECT), *more)
        .select_from(holders.join_holder_tables(_holder))
        .where(*IS_OF_TOKEN)
    )
    return Prefetch(holders.OF_CITIZEN, Query(with_session), "citizen_subject_id", also or {})


HOLDER = of_holder()
PROGRESS = Prefetch(
    orders.OF_CITIZEN,
    Query(
        select(*CALLER_COLUMNS, *orders.progress_columns(SUBJECT))
        .select_from(
            orders.join_progress_tables(
                sessions_table.outerjoin(
                    production_orders_table,
                    and_(
                        production_orders_table.c.subject_id == sessions_table.c.subject_id,
                        production_orders_table.c.id == orders.newest_of(SUBJECT),
                    ),
                ),
            )
        )
        .where(*IS_OF_TOKEN)
    ),
    "order_id",
)


class PrefetchedReader:
    """A reader that answers queries from rows already read, and others from the database.

    The expected query is answered once, `also` until it is asked again: what it then reads is newer.
    """

    __slots__ = ("_also", "_citizen_id", "_db", "_first", "_query", "_rows")

    def __init__(self, db: Reader, expected: Prefetch, first: Row, rows: list[Row]) -> None:
        self._db = db
        self._query = expected.query
        self._also = expected.also
        self._first = first
        self._citizen_id: int = first["session_subject_id"]
        self._rows: list[Row] | None = rows

    def fetch(self, query: Query, /, **values: Any) -> Awaitable[list[Row]]:
        rows = self._rows
        if rows is not None and query is self._query and values["citizen_id"] == self._citizen_id:
            self._rows = None
            return _of(rows)
        if query is self._query:
            self._also = {}
        elif query in self._also and values["subject_id"] == self._citizen_id:
            return _of(self._also[query](self._first, values))
        return self._db.fetch(query, **values)

    async def fetch_one(self, query: Query, /, **values: Any) -> Row | None:
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None


async def _of(rows: list[Row]) -> list[Row]:
    return rows


def prefetched_reader(db: Reader, expected: Prefetch, rows: list[Row]) -> Reader:
    """Wraps `db` with the prefetched rows of `expected.with_session`."""
    first = rows[0]
    found = [] if first[expected.key] is None else rows
    return PrefetchedReader(db, expected, first, found)
