"""Every change of every column of the audit tables, every row removed or forged, is found."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    Table,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.sql import Executable

from core.audit import (
    access_log_subjects_table,
    anchors,
    audit_anchored_heads_table,
    audit_anchors_table,
    audit_entries_table,
    audit_heads_table,
    log,
    verify,
)
from core.audit import history as histories
from core.audit.access_log import EVERYBODY
from core.audit.verify import BrokenAnchor, BrokenChain
from core.db import Query, Reader, Transaction, UniqueViolation
from core.kernel.clock import DAY, MINUTE
from core.migrations.tables import TABLES
from tests.core.test_audit import change, found
from tests.front_end import FrontEnd, World

AUDIT_TABLES = [table for table in TABLES if table.name.startswith(("audit_", "access_log"))]
HARMLESS = {"access_log_indexed"}
"""Its one row may also be older: batches behind it are searched, then indexed again. Such a change must
leave everybody's history as it was."""

Damage: TypeAlias = tuple[str, list[Executable]]
Row: TypeAlias = dict[str, Any]


@dataclass
class Undone(Exception):
    """Rolls a damage back, with what was found meanwhile."""

    broken: list[object]
    histories: list[object]


async def lived(world: World, citizens: list[FrontEnd]) -> None:
    """Changes and accesses of two citizens, indexed and anchored in two parts."""
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
        await application.access_log.index()
        await anchors.anchor_all(
            application.database, application.dependencies.seals, application.clock()
        )


def where(table: Table, row: Row) -> ColumnElement[bool]:
    return and_(*(column == row[column.name] for column in table.primary_key))


def other(value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    return value[:-1] + ("0" if isinstance(value, str) else bytes([value[-1] ^ 1]))


def damages(table: Table, rows: list[Row]) -> Iterator[Damage]:
    chosen = [rows[0], rows[len(rows) // 2], rows[-1]]
    yield "every row removed", [delete(table)]
    for number, row in enumerate(chosen):
        yield f"row {number} removed", [delete(table).where(where(table, row))]
        for column in table.columns:
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


async def all_of(steps: AsyncIterator[Any]) -> list[object]:
    return [step async for step in steps if not isinstance(step, int)]


async def histories_of(db: Reader, subjects: list[int]) -> list[object]:
    return [await histories.before(db, one, histories.NEWEST, 100) for one in subjects]


async def missed(world: World, table: Table) -> tuple[int, set[str]]:
    """How many damages were tried, and those that verification does not find."""
    database, dependencies = world.application.database, world.application.dependencies
    rows = await rows_of(world, table)
    heads = (await world.rows("audit_heads"))["audit_heads"] if table.name in HARMLESS else []
    subjects = [row.subject_id for row in heads if row.subject_id != EVERYBODY]
    before = await histories_of(database, subjects)
    tried, not_found = 0, set()
    for name, statements in damages(table, rows):

        async def job(db: Transaction, statements: list[Executable] = statements) -> None:
            for statement in statements:
                await db.fetch(Query(statement))
            broken = await all_of(verify.verify(db, dependencies.seals))
            raise Undone(broken, await histories_of(db, subjects))

        try:
            await database.write(job)
        except UniqueViolation:
            continue  # the database has refused it
        except Undone as undone:
            tried += 1
            is_harmless = table.name in HARMLESS and undone.histories == before
            if not (undone.broken or is_harmless):
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


async def test_an_index_that_nobody_compares_hides_accesses(
    world: World, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the index's verification."""

    async def nothing(_: Reader) -> AsyncIterator[tuple[int, str]]:
        return
        yield

    await lived(world, [active, await world.enter("lost")])
    monkeypatch.setattr(verify, "broken_index", nothing)

    _, not_found = await missed(world, access_log_subjects_table)

    assert "every row removed" in not_found


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
