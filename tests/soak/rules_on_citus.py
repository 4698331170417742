"""The rules of `tests/architecture/by_person.py` on Citus: they say what it does.

Part of `make soak-citus`. Every statement of the program is run once with made-up values; a hand-made statement that keeps the rules goes to one shard; one that
breaks them goes to several or is refused, or stands below because a rule asks for more.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Executable
from sqlalchemy.schema import CreateTable

from core.db import Query
from core.db.postgres import PostgresDatabase
from tests import citus
from tests.architecture.all_statements import MANY, named_queries
from tests.architecture.by_person import Rule, split_column
from tests.architecture.test_by_person import BAD, GOOD, PEOPLE, THINGS

_SEVERAL = [1, 2, 3]
STRICTER: dict[str, str] = {
    "a list": "all are one value here",
    "many keys": "all are one value here",
    "the outer side of a left join": "the condition leaves no row without a thing",
    "a full join": "the condition leaves no row without a person",
    "a correlated EXISTS": "made a join by the planner, but refused in other places",
}
"""What goes to one shard all the same."""
BROKEN = {
    name: statement
    for name, (statement, rules) in BAD.items()
    if Rule.NAMES_NOBODY in rules and name not in STRICTER
}


_MADE_UP = {"bool": True, "bytea": b"x", "text": "x", "varchar": "x"}
"""By type of a parameter; 1 for all others."""


class Node:
    """A connection that tells where a statement goes."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._notices: list[Any] = []
        connection.add_log_listener(lambda _, message: self._notices.append(message))

    async def goes_to_one_shard(self, query: Query) -> bool:
        sql, names, bound = query.compiled(PostgresDatabase.dialect)
        statement = await self._connection.prepare(sql)
        self._notices.clear()
        values = [
            bound.get(name, _SEVERAL if kind.kind == "array" else _MADE_UP.get(kind.name, 1))
            for name, kind in zip(names, statement.get_parameters(), strict=True)
        ]
        await statement.fetch(*values)
        return not self._notices


async def _opened(url: str) -> Any:
    connection = await asyncpg.connect(url)
    await connection.execute("SET citus.multi_task_query_log_level = 'notice'")
    return connection


def _is_for_sqlite(query: Query) -> bool:
    return query.compiled(PostgresDatabase.dialect)[0].startswith("PRAGMA")


@pytest.fixture(scope="module")
def our_tables() -> Iterable[str]:
    with citus.database() as url:
        yield url


async def test_every_statement_goes_to_one_shard_or_is_listed(our_tables: str) -> None:
    wrong, connection = [], await _opened(our_tables)
    node = Node(connection)
    for name, query in named_queries().items():
        if _is_for_sqlite(query):
            continue
        transaction = connection.transaction()
        await transaction.start()
        try:
            if not await node.goes_to_one_shard(query) and name not in MANY:
                wrong.append(f"{name} goes to several shards")
        except asyncpg.IntegrityConstraintViolationError:
            pass
        except asyncpg.PostgresError as error:
            wrong.append(f"{name}: {error}")
        await transaction.rollback()
    await connection.close()

    assert wrong == []


@pytest.fixture(scope="module")
def url() -> Iterable[str]:
    with citus.empty_database() as url:
        yield url


@pytest.fixture
async def node(url: str) -> AsyncIterator[Node]:
    connection = await _opened(url)
    transaction = connection.transaction()
    await transaction.start()
    for table in PEOPLE.metadata.sorted_tables:
        await connection.execute(str(CreateTable(table).compile(dialect=PostgresDatabase.dialect)))
        together = PEOPLE.name if table is THINGS else "none"
        await connection.execute(citus.distribution(table.name, split_column(table), together))
    yield Node(connection)
    await transaction.rollback()
    await connection.close()


@pytest.mark.parametrize("statement", GOOD.values(), ids=GOOD)
async def test_a_statement_that_keeps_the_rules_goes_to_one_shard(
    node: Node, statement: Executable
) -> None:
    assert await node.goes_to_one_shard(Query(statement))


@pytest.mark.parametrize("name", STRICTER)
async def test_a_rule_may_ask_for_more(node: Node, name: str) -> None:
    assert await node.goes_to_one_shard(Query(BAD[name][0]))


@pytest.mark.filterwarnings("ignore:Column .* is marked as a member of the primary key")
@pytest.mark.parametrize("statement", BROKEN.values(), ids=BROKEN)
async def test_a_statement_that_breaks_them_does_not(node: Node, statement: Executable) -> None:
    try:
        assert not await node.goes_to_one_shard(Query(statement))
    except asyncpg.PostgresError:
        return
