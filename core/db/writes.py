"""Writes that belong together: collected first, then applied together in order, or not at all.

On SQLite they run one after the other in the writer's transaction, each statement for all that wait
and have the same ones. On PostgreSQL they are one
statement, and so one round trip: each write is a part of a data-modifying CTE, and the final SELECT
counts the rows of each part in order. A guard that changed no row makes it divide by zero, which
undoes all parts. See docs/adr/0015-changes-in-one-statement.md.
"""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from core.db.query import Query

MAX_PARTS = 40
"""Of one statement. More writes than that are a transaction of several statements."""

_PARAMETER = re.compile(r"\$(\d+)")
_dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


class LostRace(Exception):
    """Others changed the same data first: nothing was written. Read anew, and decide anew."""


class Write(NamedTuple):
    """`must_change`: that it changes no row means that others were faster."""

    query: Query
    values: Mapping[str, Any]
    must_change: bool = False


Shape: TypeAlias = tuple[tuple[Query, bool], ...]
"""Statements in order, each with whether it must change something."""


class Writes:
    """What a unit of work changes, in order; named guards come before everything else."""

    __slots__ = ("_named", "_writes", "see_each_other")

    def __init__(self) -> None:
        self.see_each_other = False
        """Whether one changes what another has added: then each is a statement of its own."""
        self._named: dict[Hashable, Write] = {}
        self._writes: list[Write] = []

    def add(self, query: Query, /, **values: Any) -> None:
        self._writes.append(Write(query, values))

    def add_many(self, query: Query, rows: Iterable[Mapping[str, Any]], /) -> None:
        self._writes.extend([Write(query, row) for row in rows])

    def guard(self, query: Query, /, **values: Any) -> None:
        """Nothing is written at all if this changes no row."""
        self._writes.append(Write(query, values, True))

    def guard_first(self, name: Hashable, query: Query, /, **values: Any) -> None:
        """As `guard`, but replaces the one of the same name."""
        self._named[name] = Write(query, values, True)

    def by_query(self) -> Iterable[tuple[tuple[Query, bool], list[Write]]]:
        """Grouped, in the order in which each query comes first."""
        groups: dict[tuple[Query, bool], list[Write]] = {}
        for write in self:
            groups.setdefault((write.query, write.must_change), []).append(write)
        return groups.items()

    def shape(self) -> Shape | None:
        """The statements; None if a guard may change more than one row, so that counting the rows
        which several have changed together does not tell whether each has."""
        shape = tuple([(write.query, write.must_change) for write in self])
        if all(query.changes_one_row for query, must_change in shape if must_change):
            return shape
        return None

    def __len__(self) -> int:
        return len(self._named) + len(self._writes)

    def __iter__(self) -> Iterator[Write]:
        yield from self._named.values()
        yield from self._writes


def in_one_statement(writes: Iterable[Write]) -> tuple[str, list[Any]]:
    """The text for PostgreSQL, and its values."""
    writes = list(writes)
    shape = tuple([(write.query, write.must_change) for write in writes])
    sql, parts = _composed(shape)
    values: list[Any] = []
    for write, (names, bound) in zip(writes, parts, strict=True):
        given = {**bound, **write.values} if bound else write.values
        values += [given[name] for name in names]
    return sql, values


_Part = tuple[list[str], dict[str, Any]]


@lru_cache(1_024)
def _composed(shape: Shape) -> tuple[str, list[_Part]]:
    texts, counts, parts, before = [], [], [], 0
    for number, (query, must_change) in enumerate(shape):
        text, names, bound = query.compiled(_dialect)
        texts.append(f"w{number} AS ({_shifted(text, before)} RETURNING 1)")
        count = f"(SELECT count(*) FROM w{number})"  # noqa: S608
        counts.append(f"1 / {count}" if must_change else count)
        parts.append((names, bound))
        before += len(names)
    return f"WITH {', '.join(texts)} SELECT {', '.join(counts)}", parts


def _shifted(text: str, by: int) -> str:
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + by}", text)
