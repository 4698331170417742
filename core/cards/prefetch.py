"""Prefetch: one SQL statement loads the session and the rows that the operation reads first.

Most operations read their session and then one set of rows of its citizen. An operation that
declares which one gets both in one statement; the service's own read is answered from memory.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, BindParameter, and_, bindparam, select

from core.cards import holders
from core.citizens import CALLER_COLUMNS, IS_OF_TOKEN, citizens, citizens_table, sessions_table
from core.db import Query, Reader, Row
from core.production import orders, production_orders_table

ASKS = "asks"
"""Metadata key under which a GraphQL field declares its `Prefetch`."""


@dataclass(frozen=True, slots=True)
class Prefetch:
    """`query` selects by `citizen_id`; `with_session` joins the same rows to a session's citizen.

    `key` is a column that is NULL if the join found nothing.
    """

    query: Query
    with_session: Query
    key: str


_subject: BindParameter[int] = bindparam("session_subject", type_=BigInteger)
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
HOLDER = Prefetch(
    holders.OF_CITIZEN,
    Query(
        select(*CALLER_COLUMNS, *holders.columns(_subject))
        .select_from(holders.join_holder_tables(_holder))
        .where(*IS_OF_TOKEN)
    ),
    "citizen_subject_id",
)
PROGRESS = Prefetch(
    orders.OF_CITIZEN,
    Query(
        select(*CALLER_COLUMNS, *orders.progress_columns(_subject))
        .select_from(
            orders.join_progress_tables(
                sessions_table.outerjoin(
                    production_orders_table,
                    and_(
                        production_orders_table.c.subject_id == sessions_table.c.subject_id,
                        production_orders_table.c.id == orders.newest_of(_subject),
                    ),
                ),
            )
        )
        .where(*IS_OF_TOKEN)
    ),
    "order_id",
)


class PrefetchedReader:
    """A reader that answers one query from rows already read, once, and others from the database."""

    __slots__ = ("_citizen_id", "_db", "_query", "_rows")

    def __init__(self, db: Reader, query: Query, citizen_id: int | None, rows: list[Row]) -> None:
        self._db = db
        self._query = query
        self._citizen_id = citizen_id
        self._rows: list[Row] | None = rows

    def fetch(self, query: Query, /, **values: Any) -> Awaitable[list[Row]]:
        rows = self._rows
        if rows is not None and query is self._query and values["citizen_id"] == self._citizen_id:
            self._rows = None
            return _of(rows)
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
    return PrefetchedReader(db, expected.query, first["session_subject_id"], found)
