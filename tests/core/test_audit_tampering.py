"""Every change of every column of the audit tables, every row removed or forged, is found."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    String,
    Table,
    and_,
    bindparam,
    delete,
    false,
    func,
    insert,
    literal_column,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.sql import Executable

from core.audit import (
    access_log,
    access_log_table,
    anchors,
    audit_anchored_heads_table,
    audit_anchors_table,
    audit_entries_table,
    audit_heads_table,
    batches,
    log,
    verify,
    well_formed,
)
from core.audit.access_log import text_of_row as access_log_text
from core.audit.verify import BrokenAnchor, BrokenChain, BrokenTable, CoveredLate
from core.db import DatabaseUnavailable, Query, Transaction, UniqueViolation
from core.kernel.clock import DAY, MINUTE
from core.migrations.tables import TABLES
from tests.conftest import PARTITIONS
from tests.core.test_audit import change, found
from tests.front_end import FrontEnd, World

pytestmark = pytest.mark.usefixtures("since_seeding")

AUDIT_TABLES = [table for table in TABLES if table.name.startswith(("audit_", "access_log"))]
REFUSED = (
    UniqueViolation,
    sqlite3.IntegrityError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
)
"""By the database itself."""

Damage: TypeAlias = tuple[str, list[Executable]]
Row: TypeAlias = dict[str, Any]


@dataclass
class Undone(Exception):
    """Rolls a damage back, with what was found meanwhile."""

    broken: list[object]


async def lived(world: World, citizens: list[FrontEnd]) -> None:
    """Changes and accesses of two citizens, anchored in two parts."""
    application = world.application
    await application.access_log.stop()
    for code in ("610000", "610001"):
        for citizen in citizens:
            await citizen.status()
            await citizen.do("changeContact", residentialPostalCode=code)
            await citizen.post("{ viewer { bound } sessions { id } }")
            await application.access_log.flush()
            await citizen.post("{ viewer { bound } }")
            await application.access_log.flush()
        await anchors.anchor_all(
            application.database, application.dependencies.seals, application.clock()
        )


def where(table: Table, row: Row) -> ColumnElement[bool]:
    return and_(*(column == row[column.name] for column in table.primary_key))


def other(value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    return value[:-1] + ("0" if isinstance(value, str) else bytes([value[-1] ^ 1]))


def parts_of_the_log(table: Table) -> list[Column[Any]]:
    """A head's version belongs to the subject's data: it says who lost a race."""
    return [column for column in table.columns if column.name != "version"]


def damages(table: Table, rows: list[Row]) -> Iterator[Damage]:
    chosen = [rows[0], rows[len(rows) // 2], rows[-1]]
    yield "every row removed", [delete(table)]
    for number, row in enumerate(chosen):
        yield f"row {number} removed", [delete(table).where(where(table, row))]
        for column in parts_of_the_log(table):
            for value in (other(row[column.name]), chosen[number - 1][column.name]):
                if value != row[column.name]:
                    changed = update(table).where(where(table, row)).values({column: value})
                    yield f"{column.name} of row {number} changed", [changed]
        for column in table.primary_key:
            if not isinstance(column.type, LargeBinary):
                for value in (0, -1, max(each[column.name] for each in rows) + 1):
                    forged = insert(table).values(row | {column.name: value})
                    yield f"row {number} copied with {column.name} {value}", [forged]
    first, last = rows[0], rows[-1]
    contents = [column.name for column in table.columns if not column.primary_key]
    if contents and first is not last:
        yield (
            "two rows swapped",
            [
                update(table)
                .where(where(table, one))
                .values({name: another[name] for name in contents})
                for one, another in ((first, last), (last, first))
            ],
        )


SQLITE_VALUES = (
    "NULL",
    "1.5",
    "9e999",
    "-9223372036854775808",
    "9223372036854775807",
    "'x'",
    "''",
    "x''",
    "x'ff'",
    "zeroblob(100)",
    "CAST(x'ff' AS TEXT)",
    "CAST(x'eda080' AS TEXT)",
    "char(0, 27, 133, 8232)",
    "'[]'",
    '\'{"digest": 1, "records": 1e999}\'',
    f"'{'[' * 100_000}'",
    f"'{'9' * 5_000}'",
    "CAST({0} AS TEXT) || 'x'",
    "CAST(CAST({0} AS TEXT) AS BLOB)",
    "CAST({0} AS TEXT) || char(133)",
    "replace({0}, char(10), char(133) || char(10))",
    "replace({0}, char(10), char(13))",
    "replace({0}, char(9), '')",
    "'99999999999999999999' || {0}",
)
"""Expressions; `{0}` is the column. SQLite stores any of them in most columns."""
POSTGRES_VALUES = {
    Integer: ("NULL", "-1", "-2147483648", "2147483647"),
    BigInteger: ("NULL", "-1", "-9223372036854775808", "9223372036854775807"),
    LargeBinary: ("NULL", "''", "'\\xff'"),
    String: (
        "NULL",
        "'x'",
        "''",
        "'[]'",
        "U&'\\001B\\0085\\2028'",
        f"'{'[' * 100_000}'",
        f"'{'9' * 5_000}'",
        "{0} || U&'\\0085'",
        "replace({0}, chr(10), U&'\\0085' || chr(10))",
        "replace({0}, chr(10), chr(13))",
        "replace({0}, chr(9), '')",
        "'99999999999999999999' || {0}",
    ),
}


def odd_values(table: Table, rows: list[Row], dialect: str) -> Iterator[Damage]:
    """Whatever the database lets stand in a column."""
    for number, row in ((0, rows[0]), (len(rows) - 1, rows[-1])):
        for column in parts_of_the_log(table):
            kind = next(one for one in column.type.__class__.__mro__ if one in POSTGRES_VALUES)
            for value in SQLITE_VALUES if dialect == "sqlite" else POSTGRES_VALUES[kind]:
                expression: ColumnElement[Any] = literal_column(value.replace("{0}", column.name))
                changed = update(table).where(
                    where(table, row), column.is_distinct_from(expression)
                )
                yield (
                    f"{column.name} of row {number} set to {value[:60]}",
                    [changed.values({column: expression}).returning(literal_column("1"))],
                )
                if column.primary_key:
                    copied = select(
                        *(expression if each is column else each for each in table.columns)
                    ).where(where(table, row), column.is_distinct_from(expression))
                    yield (
                        f"row {number} copied with {column.name} {value[:60]}",
                        [
                            insert(table)
                            .from_select(table.columns.keys(), copied)
                            .returning(literal_column("1"))
                        ],
                    )


async def all_of(steps: AsyncIterator[Any]) -> list[object]:
    return [step async for step in steps if not isinstance(step, int)]


async def missed(world: World, table: Table, are_odd: bool = False) -> tuple[int, set[str]]:
    """How many damages were tried, and those that verification does not find."""
    database, dependencies = world.application.database, world.application.dependencies
    rows = await rows_of(world, table)
    tried, not_found = 0, set()
    tampering = odd_values(table, rows, database.dialect.name) if are_odd else damages(table, rows)
    for name, statements in tampering:

        async def job(db: Transaction, statements: list[Executable] = statements) -> None:
            for statement in statements:
                if not await db.fetch(Query(statement)) and are_odd:
                    return  # it changes nothing
            broken = await all_of(verify.verify(db, dependencies.seals))
            await all_of(verify.unanchored(db, world.application.clock(), 60))
            await anchors.last(db)
            raise Undone(broken)

        try:
            await database.write(job)
        except REFUSED:
            continue
        except Undone as undone:
            tried += 1
            if not undone.broken:
                not_found.add(name)
    return tried, not_found


async def rows_of(world: World, table: Table) -> list[Row]:
    names = table.columns.keys()
    found = await world.application.database.fetch(
        Query(select(table).order_by(*table.primary_key))
    )
    return [{name: row[name] for name in names} for row in found]


@pytest.mark.parametrize("table", AUDIT_TABLES, ids=lambda table: table.name)
async def test_finds_every_damage(world: World, active: FrontEnd, table: Table) -> None:
    await lived(world, [active, await world.enter("lost")])

    tried, not_found = await missed(world, table)

    assert await found(world) == []
    assert not_found == set()
    assert tried >= 5


@pytest.mark.parametrize("table", AUDIT_TABLES, ids=lambda table: table.name)
async def test_finds_every_value_that_cannot_stand_there(
    world: World, active: FrontEnd, table: Table
) -> None:
    await lived(world, [active, await world.enter("lost")])

    tried, not_found = await missed(world, table, are_odd=True)

    assert not_found == set()
    assert tried >= 5


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_rows_that_no_query_sees_are_missed_unless_named(
    world: World, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a forged row that no query of well-formed rows sees."""
    await lived(world, [active, await world.enter("lost")])
    monkeypatch.setattr(verify, "_MALFORMED", {})

    _, not_found = await missed(world, audit_anchors_table, are_odd=True)

    assert "row 0 copied with number -9223372036854775808" in not_found


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_value_read_as_it_stands_ends_verification(
    world: World, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of reading texts as bytes: the driver refuses one that is no UTF-8."""
    await lived(world, [active, await world.enter("lost")])
    key = list(access_log_table.primary_key)
    after = tuple_(*(bindparam(column.name, type_=column.type) for column in key))
    fits = well_formed.fits(access_log_table)
    as_it_stands = select(access_log_table).where(fits, tuple_(*key) > after)
    monkeypatch.setattr(batches, "_ROWS_AFTER", Query(as_it_stands.order_by(*key)))

    with pytest.raises(DatabaseUnavailable, match="UTF-8"):
        await missed(world, access_log_table, are_odd=True)


async def test_a_column_that_no_mac_covers_is_missed(
    world: World, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: entries whose MAC leaves out a column."""
    covered = tuple(name for name in log._MAC_INPUT if name != "session_id")
    monkeypatch.setattr(log, "_MAC_INPUT", covered)
    for table in AUDIT_TABLES:
        await change(world, Query(delete(table)))
    await lived(world, [active, await world.enter("lost")])
    assert await found(world) == []

    _, not_found = await missed(world, audit_entries_table)

    assert {name.partition(" ")[0] for name in not_found} == {"session_id"}


async def test_a_column_of_the_access_log_that_no_mac_covers_is_missed(
    world: World, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: rows whose text leaves out their subject, so that they can be moved to another."""
    for module in (access_log, batches):
        covered = lambda row: access_log_text(row._replace(subject_id=0))  # noqa: E731
        monkeypatch.setattr(module, "text_of_row", covered)
    for table in AUDIT_TABLES:
        await change(world, Query(delete(table)))
    await lived(world, [active, await world.enter("lost")])
    assert await found(world) == []

    _, not_found = await missed(world, access_log_table)

    assert {name.partition(" ")[0] for name in not_found} == {"subject_id"}


# --- triggers ------------------------------------------------------------------------------

FOREIGN = {
    "sqlite": {
        "trigger": "CREATE TRIGGER t BEFORE INSERT ON audit_entries BEGIN SELECT RAISE(IGNORE); END",
        "trigger in capitals": (
            "CREATE TRIGGER t BEFORE INSERT ON AUDIT_ENTRIES BEGIN SELECT RAISE(IGNORE); END"
        ),
        "trigger with an escape character in its name": (
            'CREATE TRIGGER "\x1b[2K" BEFORE INSERT ON audit_entries BEGIN SELECT 1; END'
        ),
        "trigger elsewhere": (
            "CREATE TRIGGER t AFTER INSERT ON sessions BEGIN DELETE FROM audit_entries; END"
        ),
    },
    "postgresql": {
        "trigger": (
            "CREATE TRIGGER t BEFORE UPDATE ON audit_entries"
            " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
        "rule": "CREATE RULE r AS ON INSERT TO audit_entries DO INSTEAD NOTHING",
        "row level security": "ALTER TABLE audit_entries ENABLE ROW LEVEL SECURITY",
        "child": "CREATE TABLE child () INHERITS (audit_anchors)",
    },
}


async def test_names_what_could_drop_rows(world: World, active: FrontEnd) -> None:
    database, seals = world.application.database, world.application.dependencies.seals
    await lived(world, [active])

    for name, statement in FOREIGN[database.dialect.name].items():

        async def job(db: Transaction, statement: str = statement) -> None:
            await db.fetch(Query(text(statement)))
            raise Undone(await all_of(verify.verify(db, seals)))

        with pytest.raises(Undone) as undone:
            await database.write(job)
        assert undone.value.broken, name
        for broken in undone.value.broken:  # of each partition too
            assert isinstance(broken, BrokenTable), name
            assert "is not the gateway's" in str(broken)
            assert str(broken).isprintable()


PARTITIONED = (
    "ALTER TABLE {table} RENAME TO whole",
    "CREATE TABLE {table} (LIKE whole INCLUDING ALL) PARTITION BY HASH (subject_id)",
    "CREATE TABLE {table}_p0 PARTITION OF {table} FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
    "CREATE TABLE {table}_p1 PARTITION OF {table} FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    "INSERT INTO {table} SELECT * FROM whole",
    "DROP TABLE whole",
)
SPLIT = () if PARTITIONS else PARTITIONED
"""What the first migration has not done already."""
CHILD = "CREATE TABLE audit_anchors_p7 () INHERITS (audit_anchors)"


@pytest.mark.parametrize("table", ["access_log", "audit_entries", "audit_heads"])
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_partitions_of_a_table_are_its_own(
    world: World, active: FrontEnd, table: str
) -> None:
    await lived(world, [active])
    renamed = "ALTER TABLE {table}_p1 RENAME TO {table}_other"
    assert await found_with(world, SPLIT, table=table) == []

    [broken] = await found_with(world, (*SPLIT, renamed), table=table)
    assert broken == BrokenTable(
        table, "an inheriting table is not the gateway's and may hide or drop rows"
    )
    [broken] = await found_with(world, (CHILD,))
    assert isinstance(broken, BrokenTable)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_partition_that_was_detached_is_missed(world: World, active: FrontEnd) -> None:
    await lived(world, [active, await world.enter("lost")])
    last = (PARTITIONS or 2) - 1
    detached = [
        f"ALTER TABLE audit_entries DETACH PARTITION audit_entries_p{number}"
        for number in range(0, last, 2)
    ]

    assert await found_with(world, (*SPLIT, *detached), table="audit_entries")


async def found_with(world: World, statements: tuple[str, ...], **names: str) -> list[object]:
    """What is found after statements, which are then undone."""
    database, seals = world.application.database, world.application.dependencies.seals

    async def job(db: Transaction) -> None:
        for statement in statements:
            await db.fetch(Query(text(statement.format(**names))))
        raise Undone(await all_of(verify.verify(db, seals)))

    with pytest.raises(Undone) as undone:
        await database.write(job)
    return undone.value.broken


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_trigger_that_nobody_names_drops_entries(
    world: World, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: neither the entries nor anything else is missed."""
    await lived(world, [active])
    entries = await rows_of(world, audit_entries_table)
    for trigger in (
        "CREATE TRIGGER t_entries BEFORE INSERT ON audit_entries BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TRIGGER t_heads AFTER UPDATE OF number ON audit_heads BEGIN UPDATE audit_heads"
        " SET number = OLD.number, mac = OLD.mac WHERE subject_id = OLD.subject_id; END",
    ):
        await change(world, Query(text(trigger)))
    await active.do("changeContact", residentialPostalCode="610002")

    assert await rows_of(world, audit_entries_table) == entries
    assert len(await found(world)) == 2
    monkeypatch.setattr(verify, "_FOREIGN", Query(select(audit_anchors_table).where(false())))
    assert await found(world) == []


# --- anchors -------------------------------------------------------------------------------


async def forget_anchors(world: World, first: int) -> None:
    """Removes anchors from `first` on, and every trace of them in the database."""
    heads = audit_anchored_heads_table.c
    newest_left = (
        select(func.coalesce(func.max(heads.number), 0))
        .where(heads.subject_id == audit_heads_table.c.subject_id)
        .scalar_subquery()
    )
    for statement in (
        delete(audit_anchors_table).where(audit_anchors_table.c.number >= first),
        delete(audit_anchored_heads_table).where(heads.anchor >= first),
        update(audit_heads_table).values(anchored_number=newest_left),
    ):
        await change(world, Query(statement))


async def newest_anchor(world: World) -> anchors.Anchor:
    newest = await anchors.last(world.application.database)
    assert newest is not None
    return newest


async def missing_anchor(world: World, external: str) -> list[object]:
    database, seals = world.application.database, world.application.dependencies.seals
    return await all_of(verify.verify(database, seals, external))


async def without_anchor(world: World, later: int) -> list[BrokenChain]:
    """What is found at a later time for want of an anchor."""
    now = world.application.clock() + later
    return [step async for step in verify.unanchored(world.application.database, now, 60)]


async def test_finds_the_newest_anchor_removed_alone(world: World, active: FrontEnd) -> None:
    await lived(world, [active, await world.enter("lost")])
    newest = await newest_anchor(world)

    await change(
        world,
        Query(delete(audit_anchors_table).where(audit_anchors_table.c.number == newest.number)),
    )

    assert await found(world) == [
        BrokenAnchor(newest.number, "the anchor is missing, its heads are there")
    ]


@pytest.mark.parametrize("first", [1, 2])
async def test_finds_anchors_removed_with_every_trace_by_one_stored_elsewhere(
    world: World, active: FrontEnd, first: int
) -> None:
    await lived(world, [active, await world.enter("lost")])
    newest = await newest_anchor(world)
    assert await missing_anchor(world, str(newest)) == []

    await forget_anchors(world, first)

    assert await missing_anchor(world, "") == []
    assert await missing_anchor(world, str(newest)) == [
        BrokenAnchor(newest.number, "the external anchor is missing")
    ]


@pytest.mark.parametrize("first", [1, 2])
async def test_entries_whose_anchor_is_gone_are_named_after_a_while(
    world: World, active: FrontEnd, first: int
) -> None:
    await lived(world, [active, await world.enter("lost")])
    assert await without_anchor(world, DAY) == []

    await forget_anchors(world, first)

    assert await without_anchor(world, MINUTE) == []
    heads = (await world.rows("audit_heads"))["audit_heads"]
    unanchored = {row.subject_id for row in heads if row.number > row.anchored_number}
    named = await without_anchor(world, DAY)
    assert {one.subject_id for one in named} == unanchored != set()
    assert {one.what for one in named} == {"no anchor covers the entry"}


async def late_in(world: World) -> list[CoveredLate]:
    return [late async for late in verify.covered_late(world.application.database, 60)]


async def test_names_entries_that_an_anchor_covers_late(world: World, active: FrontEnd) -> None:
    """The newest anchors were removed, and a running gateway has made new ones since."""
    await lived(world, [active, await world.enter("lost")])
    application = world.application
    database, seals = application.database, application.dependencies.seals
    later = application.clock() + DAY
    assert await anchors.anchor_all(database, seals, later) == []
    assert await late_in(world) == []
    await forget_anchors(world, 2)

    await anchors.anchor_all(database, seals, later)

    assert await found(world) == []  # nothing else can find it
    [late] = await late_in(world)
    assert (late.anchor, late.until) == ((await newest_anchor(world)).number, later)
    assert late.since in {entry["at"] for entry in await rows_of(world, audit_entries_table)}


@pytest.mark.parametrize("is_anchored", [True, False], ids=["anchored", "control: not anchored"])
async def test_a_gateway_that_was_anchored_when_it_stopped_has_no_gap(
    world: World, active: FrontEnd, is_anchored: bool
) -> None:
    application = world.application
    database, seals = application.database, application.dependencies.seals
    await anchors.anchor_all(database, seals, application.clock())
    await active.do("changeContact", residentialPostalCode="610000")
    await application.access_log.stop()
    if is_anchored:
        await anchors.anchor_all(database, seals, application.clock())

    await anchors.anchor_all(database, seals, application.clock() + DAY)

    assert bool(await late_in(world)) is not is_anchored


async def test_names_entries_older_than_the_oldest_anchor(world: World, active: FrontEnd) -> None:
    """All anchors were removed, and the gateway has made new ones since."""
    await lived(world, [active, await world.enter("lost")])
    application = world.application
    await forget_anchors(world, 1)

    await anchors.anchor_all(
        application.database, application.dependencies.seals, application.clock() + DAY
    )

    named = await without_anchor(world, DAY)
    entries = await rows_of(world, audit_entries_table)
    assert named == [
        BrokenChain(
            entry["subject_id"], entry["number"], "the entry is older than the oldest anchor"
        )
        for entry in entries
    ]
