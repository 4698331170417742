"""Every statement touches one person, or stands below with the reason why it must touch many."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from sqlalchemy import (
    ARRAY,
    Column,
    Executable,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from core.crypto import MAX_KEYS
from core.migrations.tables import metadata
from tests.architecture.all_statements import (
    JOINED_AFTERWARDS,
    MADE_WHEN_CALLED,
    MANY,
    functions_that_make_queries,
    named_queries,
)
from tests.architecture.by_person import (
    SUBJECT,
    Complaint,
    Part,
    Rule,
    between,
    complaints,
    complaints_of,
    split_column,
)

EXCUSES: Mapping[Rule, Mapping[str, str]] = {
    Rule.NAMES_NOBODY: MANY,
    Rule.TEXT: MANY,
    Rule.NOT_TOGETHER: JOINED_AFTERWARDS,
}
"""Where a statement of which a rule complains may be listed; the other rules have no exceptions."""


def test_every_statement_touches_one_person_or_is_listed() -> None:
    found = {
        name: [str(one) for one in complaints_of(query) if name not in EXCUSES.get(one.rule, {})]
        for name, query in named_queries().items()
    }

    assert {name: said for name, said in found.items() if said} == {}


def test_what_is_listed_needs_it() -> None:
    queries = named_queries()
    needed = {
        (name, id(EXCUSES.get(one.rule)))
        for name, query in queries.items()
        for one in complaints_of(query)
    }

    for listed in (MANY, JOINED_AFTERWARDS):
        assert [name for name in listed if (name, id(listed)) not in needed] == []


def test_every_function_that_makes_statements_is_listed() -> None:
    assert functions_that_make_queries() == set(MADE_WHEN_CALLED)


def test_every_table_with_a_subject_is_split_by_it() -> None:
    """Their keys begin with it; `claims` leads from a key to its subject."""
    others = {
        table.name
        for table in metadata.tables.values()
        if SUBJECT in table.c and split_column(table) != SUBJECT
    }

    assert others == {"claims"}


def test_every_key_of_a_table_contains_what_it_is_split_by() -> None:
    """Else no node can say by itself whether a row is there."""
    found = {
        f"{table.name}: {', '.join(columns)}"
        for table in metadata.tables.values()
        for columns in (*_unique(table), *_foreign(table))
        if split_column(table) not in columns
    }

    assert found == set()


def _unique(table: Table) -> Iterator[list[str]]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield list(constraint.columns.keys())
    for index in table.indexes:
        if index.unique:
            yield [column.name for column in table.columns if column in set(index.columns)]


def _foreign(table: Table) -> Iterator[list[str]]:
    for constraint in table.foreign_key_constraints:
        yield [column.name for column in constraint.columns]


# --- the rules, each by a statement that keeps it and one that breaks it ------------------------


_TABLES = MetaData()


def _table(name: str, *columns: str) -> Table:
    """Split by the first of its columns; the first two are the key."""
    return Table(
        name,
        _TABLES,
        *(
            Column(column, Integer, primary_key=number < 2, autoincrement=False)
            for number, column in enumerate(columns)
        ),
    )


PEOPLE = _table("people", SUBJECT, "id", "state")
THINGS = _table("things", SUBJECT, "id", "person", "number")
KEYS = _table("keys", "key", "kind", SUBJECT)
people, things, keys, others = PEOPLE.c, THINGS.c, KEYS.c, THINGS.alias("others")
ME: Any = bindparam("me")
MINE = people.subject_id == ME
_JOINED = PEOPLE.join(THINGS, things.subject_id == people.subject_id)
_LEFT = PEOPLE.outerjoin(THINGS, things.subject_id == people.subject_id)
_ARRAY = bindparam("several", type_=ARRAY(Integer))
_HEAD = select(others.c.number).where(others.c.subject_id == ME)


def _part(number: int) -> Any:
    return update(THINGS).where(things.subject_id == ME).values(number=number).returning(things.id)


def _inserted(**values: Any) -> Any:
    return upsert(THINGS).values({"id": bindparam("id"), **values})


def _from(statement: Any) -> Executable:
    return insert(THINGS).from_select([SUBJECT, "id"], statement)


GOOD: Mapping[str, Executable] = {
    "a row by its key": select(PEOPLE).where(MINE, people.id == bindparam("id")),
    "a parameter that is cast": select(PEOPLE).where(people.subject_id == cast(ME, Integer)),
    "the parameter on the left": select(PEOPLE).where(literal(1) == people.subject_id),
    "in brackets": select(PEOPLE).where(and_(people.id > 1, and_(MINE, people.id < 9))),
    "a join": select(PEOPLE, THINGS).select_from(_JOINED).where(MINE),
    "the other side of a join": select(_JOINED).where(things.subject_id == ME),
    "a left join": select(PEOPLE, THINGS).select_from(_LEFT).where(MINE),
    "a chain of left joins": select(PEOPLE)
    .select_from(_LEFT.outerjoin(others, others.c.subject_id == things.subject_id))
    .where(MINE),
    "a table without joins": select(PEOPLE, THINGS).where(
        MINE, people.subject_id == things.subject_id
    ),
    "a sub-select that names the subject": select(
        PEOPLE, select(func.max(things.id)).where(things.subject_id == ME).scalar_subquery()
    ).where(MINE),
    "EXISTS that names the subject": select(PEOPLE).where(
        MINE, select(things.id).where(things.subject_id == ME, things.id > people.id).exists()
    ),
    "the newest of one": select(THINGS).where(
        things.subject_id == ME,
        things.id
        == select(func.max(others.c.id)).where(others.c.subject_id == ME).scalar_subquery(),
    ),
    "a derived table": select(_HEAD.subquery("mine").c.number),
    "a derived table whose subject is named around it": select(
        every := select(THINGS).where(things.number > 1).subquery("every")
    ).where(every.c.subject_id == ME),
    "a derived table that is joined by subject": select(PEOPLE, every).where(
        MINE, every.c.subject_id == people.subject_id
    ),
    "a derived table that names it for the tables around it": select(
        mine := select(THINGS).where(things.subject_id == ME).subquery("mine"), PEOPLE
    ).where(people.subject_id == mine.c.subject_id),
    "a lock of one in a derived table": select(every)
    .where(every.c.subject_id == ME)
    .with_for_update(),
    "a CTE": select(_HEAD.cte("mine").c.number),
    "both sides of a union": union_all(
        select(people.id).where(MINE), select(things.id).where(things.subject_id == ME)
    ),
    "a lock of one": select(PEOPLE).where(MINE).with_for_update(skip_locked=True),
    "a table that is not by person": select(KEYS).where(keys.key == bindparam("key")),
    "a key under each secret in use": select(KEYS).where(keys.key.in_([ME] * MAX_KEYS)),
    "an insert": insert(PEOPLE),
    "an insert that says so": _inserted(subject_id=ME),
    "several rows": insert(THINGS).values([{SUBJECT: 1, "id": 1}, {SUBJECT: 2, "id": 1}]),
    "an upsert": (upserted := _inserted(subject_id=ME)).on_conflict_do_update(
        index_elements=[SUBJECT, "id"], set_={"number": upserted.excluded.number + things.number}
    ),
    "an insert of what is there": _from(select(people.subject_id, people.id).where(MINE)),
    "an update": update(PEOPLE).where(MINE).values(state=people.state + 1),
    "a delete": delete(PEOPLE).where(MINE, people.id < 9),
    "two parts": select(literal(1)).add_cte(_part(1).cte("a"), insert(PEOPLE).cte("b")),
    "what is no data": text("SET LOCAL enable_seqscan = off"),
}

BAD: Mapping[str, tuple[Executable, set[Rule]]] = {
    "no condition": (select(PEOPLE), {Rule.NAMES_NOBODY}),
    "by another column": (select(PEOPLE).where(people.id == ME), {Rule.NAMES_NOBODY}),
    "OR": (select(PEOPLE).where(MINE | (people.id == 1)), {Rule.NAMES_NOBODY}),
    "a range": (select(PEOPLE).where(people.subject_id > ME), {Rule.NAMES_NOBODY}),
    "a list": (select(PEOPLE).where(people.subject_id.in_([ME, ME])), {Rule.NAMES_NOBODY}),
    "a table that is not by person, by another column": (
        select(KEYS).where(keys.subject_id == ME),
        {Rule.NAMES_NOBODY},
    ),
    "many keys": (select(KEYS).where(keys.key.in_([ME] * (MAX_KEYS + 1))), {Rule.NAMES_NOBODY}),
    "keys from elsewhere": (
        delete(KEYS).where(keys.key.in_(select(keys.key).where(keys.kind == 1).limit(9))),
        {Rule.NAMES_NOBODY},
    ),
    "one of two tables": (
        select(PEOPLE, THINGS).where(MINE, things.person == people.id),
        {Rule.NAMES_NOBODY},
    ),
    "a join by another column": (
        select(PEOPLE.join(THINGS, things.person == people.id)).where(MINE),
        {Rule.NAMES_NOBODY},
    ),
    "the outer side of a left join": (
        select(_LEFT).where(things.subject_id == ME),
        {Rule.NAMES_NOBODY},
    ),
    "a left join's condition on its left side": (
        select(PEOPLE.outerjoin(THINGS, and_(things.subject_id == ME, MINE))),
        {Rule.NAMES_NOBODY},
    ),
    "a full join": (
        select(PEOPLE.outerjoin(THINGS, things.subject_id == people.subject_id, full=True)).where(
            MINE
        ),
        {Rule.NAMES_NOBODY},
    ),
    "the same table twice": (
        select(THINGS, others).where(things.subject_id == ME, others.c.person == things.id),
        {Rule.NAMES_NOBODY},
    ),
    "a correlated EXISTS": (
        select(PEOPLE).where(
            MINE, select(things.id).where(things.subject_id == people.subject_id).exists()
        ),
        {Rule.NAMES_NOBODY},
    ),
    "a correlated aggregate": (
        select(
            people.id,
            select(func.count(things.id))
            .where(things.subject_id == people.subject_id)
            .scalar_subquery(),
        ).where(MINE),
        {Rule.NAMES_NOBODY},
    ),
    "a correlated condition of a join": (
        select(PEOPLE)
        .outerjoin(
            THINGS,
            and_(
                things.subject_id == people.subject_id,
                things.id
                == select(func.max(others.c.id))
                .where(others.c.subject_id == things.subject_id)
                .scalar_subquery(),
            ),
        )
        .where(MINE),
        {Rule.NAMES_NOBODY},
    ),
    "IN a sub-select of many": (
        select(PEOPLE).where(MINE, people.id.in_(select(things.person))),
        {Rule.NAMES_NOBODY},
    ),
    "a derived table of many": (
        select(PEOPLE, rows := select(THINGS).subquery("rows")).where(
            MINE, rows.c.person == people.id
        ),
        {Rule.NAMES_NOBODY},
    ),
    "the first of a derived table of many": (
        select(first := select(THINGS).limit(9).subquery("first")).where(first.c.subject_id == ME),
        {Rule.NAMES_NOBODY},
    ),
    "a derived table that names it for the tables around it, but is cut": (
        select(
            cut := select(THINGS).where(things.subject_id == ME).limit(9).subquery("cut"), PEOPLE
        ).where(people.subject_id == cut.c.subject_id),
        {Rule.NAMES_NOBODY},
    ),
    "the sums of a derived table of many": (
        select(
            sums := select(things.subject_id, func.max(things.id).over()).subquery("sums")
        ).where(sums.c.subject_id == ME),
        {Rule.NAMES_NOBODY},
    ),
    "the same table inside of a derived one": (
        select(PEOPLE, select(PEOPLE).subquery("every")).where(MINE),
        {Rule.NAMES_NOBODY},
    ),
    "a CTE of many": (select(select(THINGS).cte("rows")), {Rule.NAMES_NOBODY}),
    "one side of a union": (
        union_all(select(people.id).where(MINE), select(things.id)),
        {Rule.NAMES_NOBODY},
    ),
    "an update of many": (
        update(PEOPLE).where(people.id == 1).values(state=1),
        {Rule.NAMES_NOBODY},
    ),
    "a delete of many": (delete(PEOPLE).where(people.id < 9), {Rule.NAMES_NOBODY}),
    "an insert without a subject": (_inserted(), {Rule.NAMES_NOBODY}),
    "an insert of a subject that is read": (
        _inserted(subject_id=_HEAD.scalar_subquery()),
        {Rule.NAMES_NOBODY},
    ),
    "an insert of rows of many": (
        _from(select(people.subject_id, people.id)),
        {Rule.NAMES_NOBODY},
    ),
    "a lock of many": (
        select(PEOPLE).where(people.subject_id.in_([1, 2])).with_for_update(),
        {Rule.NAMES_NOBODY, Rule.LOCKS_MANY},
    ),
    "a lock of many in a derived table": (
        select(select(PEOPLE).subquery("rows")).with_for_update(skip_locked=True),
        {Rule.NAMES_NOBODY, Rule.LOCKS_MANY},
    ),
    "a queue": (
        update(THINGS)
        .where(
            tuple_(things.subject_id, things.id).in_(
                select(things.subject_id, things.id).limit(9).with_for_update(skip_locked=True)
            )
        )
        .values(number=1),
        {Rule.NAMES_NOBODY, Rule.LOCKS_MANY},
    ),
    "a sweep by a part of the key": (
        delete(THINGS).where(things.subject_id.in_(select(things.subject_id).limit(9))),
        {Rule.NAMES_NOBODY, Rule.PART_OF_KEY},
    ),
    "SET by a sub-select": (
        update(PEOPLE).where(MINE).values(state=_HEAD.scalar_subquery()),
        {Rule.SETS_WHAT_IT_READS},
    ),
    "SET from another table": (
        update(PEOPLE).where(MINE, things.subject_id == ME).values(state=things.number),
        {Rule.SETS_WHAT_IT_READS},
    ),
    "SET by a sub-select on conflict": (
        _inserted(subject_id=ME).on_conflict_do_update(
            index_elements=[SUBJECT, "id"], set_={"number": _HEAD.scalar_subquery()}
        ),
        {Rule.SETS_WHAT_IT_READS},
    ),
    "SET the subject": (update(PEOPLE).where(MINE).values(subject_id=ME), {Rule.MOVES}),
    "SET an element of an array": (
        update(PEOPLE).where(MINE).values(state=_ARRAY[1]),
        {Rule.SUBSCRIPT},
    ),
    "insert an element of an array": (
        _inserted(subject_id=ME, number=_ARRAY[1] + 1),
        {Rule.SUBSCRIPT},
    ),
    "insert an element of an array by a select": (
        _from(select(people.subject_id, _ARRAY[1]).where(MINE)),
        {Rule.SUBSCRIPT},
    ),
    "SET an element of an array on conflict": (
        _inserted(subject_id=ME).on_conflict_do_update(
            index_elements=[SUBJECT, "id"], set_={"number": _ARRAY[1]}
        ),
        {Rule.SUBSCRIPT},
    ),
    "an insert that reads": (
        _inserted(subject_id=ME, number=_HEAD.scalar_subquery()),
        {Rule.SETS_WHAT_IT_READS},
    ),
    "an insert with a condition": (
        _from(select(ME, bindparam("id")).where(_HEAD.exists())),
        {Rule.INSERTS_A_SET},
    ),
    "insert a parameter for each row that is there": (
        _from(select(ME, people.id).where(MINE)),
        {Rule.INSERTS_A_SET},
    ),
    "insert for what another part changed": (
        _from(
            select(ME, update(PEOPLE).where(MINE).values(state=1).returning(people.id).cte().c.id)
        ),
        {Rule.INSERTS_A_SET},
    ),
    "insert what unnest returns": (
        _from(select(ME, func.unnest(_ARRAY).table_valued("id").c.id)),
        {Rule.INSERTS_A_SET},
    ),
    "a join with a table that is not by person": (
        select(PEOPLE, KEYS).where(MINE, keys.key == ME, keys.subject_id == ME),
        {Rule.NOT_TOGETHER},
    ),
    "a subject that is looked up": (
        select(PEOPLE).where(
            people.subject_id == select(keys.subject_id).where(keys.key == 1).scalar_subquery()
        ),
        {Rule.NAMES_NOBODY, Rule.NOT_TOGETHER},
    ),
    "LATERAL": (
        select(PEOPLE, select(things.id).where(things.subject_id == ME).lateral("newest")).where(
            MINE
        ),
        {Rule.LATERAL},
    ),
    "a part that reads what another writes": (
        select(literal(1)).add_cte(_part(1).cte("a"), select(_HEAD.cte("read")).cte("b")),
        {Rule.READS_ANOTHER_PART},
    ),
    "a SELECT that reads what its part writes": (
        _HEAD.add_cte(_part(1).cte("a")),
        {Rule.READS_ANOTHER_PART},
    ),
    "two parts that update one table": (
        select(literal(1)).add_cte(_part(1).cte("a"), _part(2).cte("b")),
        {Rule.READS_ANOTHER_PART},
    ),
    "an advisory lock": (select(func.pg_advisory_xact_lock(1)), {Rule.ADVISORY_LOCK}),
    "a text": (text("SELECT * FROM people"), {Rule.TEXT}),
    "a text in a statement": (
        select(PEOPLE).where(MINE, text("id IN (SELECT id FROM things)")),
        {Rule.TEXT},
    ),
}


@pytest.mark.parametrize("statement", GOOD.values(), ids=GOOD)
def test_a_statement_for_one_person_passes(statement: Executable) -> None:
    assert complaints(statement) == []


@pytest.mark.parametrize(("statement", "rules"), BAD.values(), ids=BAD)
def test_a_statement_for_many_is_found(statement: Executable, rules: set[Rule]) -> None:
    assert {one.rule for one in complaints(statement)} == rules


def test_every_rule_has_a_statement_that_breaks_it() -> None:
    assert {rule for _, rules in BAD.values() for rule in rules} == set(Rule)


def _of_row(statement: Any) -> Any:
    return statement.where(things.subject_id == ME, things.id == bindparam("row"))


_CHANGE = _of_row(update(THINGS).values(number=1))
_ADD = insert(THINGS)
_ALL_OF_ONE = delete(THINGS).where(things.subject_id == ME)


@pytest.mark.parametrize(
    "parts",
    [
        [Part(_CHANGE, {"me": 1, "row": 1}), Part(_CHANGE, {"me": 1, "row": 2})],
        [Part(_ADD, {SUBJECT: 1, "id": 1}), Part(_CHANGE, {"me": 1, "row": 2})],
        [Part(_ALL_OF_ONE, {"me": 1}), Part(_ADD, {SUBJECT: 1, "id": 1})],
        [Part(_CHANGE, {"me": 1, "row": 1}), Part(insert(PEOPLE), {SUBJECT: 1, "id": 1})],
    ],
)
def test_writes_of_different_rows_may_be_sent_together(parts: list[Part]) -> None:
    assert between(parts) == []


@pytest.mark.parametrize(
    "parts",
    [
        [Part(_CHANGE, {"me": 1, "row": 1}), Part(_CHANGE, {"me": 1, "row": 1})],
        [Part(_ADD, {SUBJECT: 1, "id": 1}), Part(_CHANGE, {"me": 1, "row": 1})],
        [Part(_ADD, {SUBJECT: 1, "id": 1}), Part(_ALL_OF_ONE, {"me": 1})],
        [
            Part(_CHANGE, {"me": 1, "row": 1}),
            Part(delete(PEOPLE).where(MINE, people.id.in_(_HEAD)), {"me": 1}),
        ],
    ],
)
def test_a_write_that_reads_what_one_before_it_wrote_is_found(parts: list[Part]) -> None:
    """On one server it sees the row as it was, on another as it is."""
    assert between(parts) == [Complaint(Rule.READS_ANOTHER_PART, "things")]
