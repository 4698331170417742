"""Anchors: they find what the chains alone cannot, and what was done to themselves."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import BindParameter, bindparam, delete, select, text, update

from core.audit import (
    anchors,
    audit_anchored_heads_table,
    audit_anchors_table,
    audit_entries_table,
    audit_heads_table,
)
from core.audit.anchors import Anchor
from core.audit.verify import BrokenAnchor, BrokenChain
from core.db import Query, Reader, Row, UniqueViolation
from tests.core.test_audit import change, found, history
from tests.front_end import FrontEnd, World

pytestmark = pytest.mark.usefixtures("since_seeding")

_OF_SUBJECT: BindParameter[int] = bindparam("of_person")
REMOVE_ENTRIES = Query(
    delete(audit_entries_table).where(audit_entries_table.c.subject_id == _OF_SUBJECT)
)
REMOVE_HEAD = Query(delete(audit_heads_table).where(audit_heads_table.c.subject_id == _OF_SUBJECT))
REMOVE_ENTRY = Query(
    delete(audit_entries_table).where(
        audit_entries_table.c.subject_id == _OF_SUBJECT,
        audit_entries_table.c.number == bindparam("at_number"),
    )
)
SET_BACK = Query(
    update(audit_heads_table)
    .where(audit_heads_table.c.subject_id == _OF_SUBJECT)
    .values(
        number=bindparam("to"),
        mac=select(audit_entries_table.c.mac)
        .where(
            audit_entries_table.c.subject_id == _OF_SUBJECT,
            audit_entries_table.c.number == bindparam("to"),
        )
        .scalar_subquery(),
    )
)


async def anchor(world: World, interval: int = 0) -> list[Anchor]:
    application = world.application
    return await anchors.anchor_all(
        application.database, application.dependencies.seals, application.clock(), interval
    )


async def vanish(world: World, person: int) -> None:
    await change(world, REMOVE_ENTRIES, of_person=person)
    await change(world, REMOVE_HEAD, of_person=person)


async def cut_off(world: World, person: int, last: int) -> None:
    await change(world, REMOVE_ENTRY, of_person=person, at_number=last)
    await change(world, SET_BACK, of_person=person, to=last - 1)


async def test_an_intact_log_passes_while_it_grows(world: World, active: FrontEnd) -> None:
    await history(world, active)
    first = await anchor(world)
    await active.status()
    await active.do("changeContact", residentialPostalCode="610000")
    second = await anchor(world)

    assert [one.number for one in (*first, *second)] == [1, 2]
    assert second[0].heads < first[0].heads
    assert await found(world) == []


async def test_finds_a_chain_that_vanished_whole(world: World, active: FrontEnd) -> None:
    person, entries = await history(world, active)
    await anchor(world)

    await vanish(world, person)

    assert await found(world) == [BrokenChain(person, len(entries), "an anchored entry is missing")]


async def test_finds_an_end_cut_off_with_its_head_set_back(world: World, active: FrontEnd) -> None:
    person, entries = await history(world, active)
    await anchor(world)

    await cut_off(world, person, len(entries))

    assert await found(world) == [BrokenChain(person, len(entries), "an anchored entry is missing")]


async def test_without_an_anchor_neither_would_be_found(world: World, active: FrontEnd) -> None:
    """The control: the chains alone are whole again."""
    person, entries = await history(world, active)

    await cut_off(world, person, len(entries))
    assert await found(world) == []
    await vanish(world, person)
    assert await found(world) == []


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            update(audit_anchors_table).where(audit_anchors_table.c.number == 2).values(at=1),
            BrokenAnchor(2, "the anchor was changed"),
        ),
        (
            update(audit_anchors_table)
            .where(audit_anchors_table.c.number == 2)
            .values(heads=text("heads + 1")),
            BrokenAnchor(2, "the anchor was changed"),
        ),
        (
            delete(audit_anchors_table).where(audit_anchors_table.c.number == 2),
            BrokenAnchor(2, "an anchor is missing"),
        ),
        (
            delete(audit_anchored_heads_table).where(audit_anchored_heads_table.c.anchor == 2),
            BrokenAnchor(2, "the heads that it holds were changed"),
        ),
        (
            update(audit_anchored_heads_table)
            .where(audit_anchored_heads_table.c.anchor == 2)
            .values(number=text("number - 1")),
            BrokenAnchor(2, "the heads that it holds were changed"),
        ),
    ],
    ids=["its time", "its count", "gone", "its heads gone", "its heads set back"],
)
async def test_finds_an_anchor_that_was_tampered_with(
    world: World, active: FrontEnd, damage: object, expected: BrokenAnchor
) -> None:
    await anchor(world)
    await active.status()
    await active.do("changeContact", residentialPostalCode="610000")
    await anchor(world)
    await active.do("changeContact", residentialPostalCode="610001")
    await anchor(world)

    await change(world, Query(damage))  # type: ignore[arg-type]

    assert expected in await found(world)


async def test_finds_the_newest_anchor_cut_off(world: World, active: FrontEnd) -> None:
    """Its heads still say that they were anchored."""
    await anchor(world)
    person, entries = await history(world, active)
    await anchor(world)

    await change(world, Query(delete(audit_anchors_table).where(audit_anchors_table.c.number == 2)))
    await change(
        world,
        Query(delete(audit_anchored_heads_table).where(audit_anchored_heads_table.c.anchor == 2)),
    )

    assert BrokenChain(
        person, len(entries), "the head and its anchors do not agree"
    ) in await found(world)


async def test_of_many_that_anchor_at_once_each_head_is_anchored_once(
    world: World, active: FrontEnd
) -> None:
    await history(world, active)
    heads = (await world.rows("audit_heads"))["audit_heads"]

    made = await asyncio.gather(*(anchor(world) for _ in range(8)))

    assert sum(one.heads for some in made for one in some) == len(heads)
    assert await found(world) == []


async def test_another_process_that_anchored_just_now_is_enough(
    world: World, active: FrontEnd
) -> None:
    await anchor(world)
    await active.do("changeContact", residentialPostalCode="610000")

    assert await anchor(world, interval=60_000) == []
    assert len(await anchor(world)) == 1


async def test_more_heads_than_one_anchor_holds_take_several(
    world: World, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where several statements find them."""
    heads = len((await world.rows("audit_heads"))["audit_heads"])
    monkeypatch.setattr(anchors, "MAX_HEADS", 4)
    monkeypatch.setattr(anchors, "_HEADS_AT_ONCE", 3)

    made = await anchor(world)

    assert len(made) == -(-heads // 4)
    assert [one.number for one in made] == list(range(1, len(made) + 1))
    assert sum(one.heads for one in made) == heads
    assert await found(world) == []


async def test_another_process_that_writes_the_number_first_has_it(
    world: World, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It anchors between the reading of the heads and the writing of the anchor; then nothing is left
    but what moved since."""
    person, _ = await history(world, active)
    heads = (await world.rows("audit_heads"))["audit_heads"]
    original = anchors._moved_heads
    theirs: list[Anchor] = []

    async def overtaken(db: Reader) -> AsyncIterator[list[Row]]:
        async for moved in original(db):
            if not theirs:
                theirs.append(anchors.Anchor(0, 0, 0, b"", b""))
                theirs[:] = await anchor(world)
                await active.do("changeContact", residentialPostalCode="610000")
            yield moved

    monkeypatch.setattr(anchors, "_moved_heads", overtaken)
    mine = await anchor(world)

    assert [one.number for one in (*theirs, *mine)] == [1, 2]
    assert [one.heads for one in (*theirs, *mine)] == [len(heads), 1]
    rows = (await world.rows("audit_anchored_heads"))["audit_anchored_heads"]
    assert [row.subject_id for row in rows if row.anchor == 2] == [person]
    assert await found(world) == []


async def test_a_head_that_moves_before_it_is_anchored_is_anchored_again(
    world: World, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, entries = await history(world, active)
    original = anchors._moved_heads

    async def moving(db: Reader) -> AsyncIterator[list[Row]]:
        async for moved in original(db):
            await active.do("changeContact", residentialPostalCode="610000")
            yield moved

    with monkeypatch.context() as patched:
        patched.setattr(anchors, "_moved_heads", moving)
        await anchor(world)
    assert await found(world) == []
    await anchor(world)

    rows = (await world.rows("audit_anchored_heads"))["audit_anchored_heads"]
    numbers = {row.anchor: row.number for row in rows if row.subject_id == person}
    assert numbers == {1: len(entries), 2: len(entries) + 1}
    assert await found(world) == []


async def test_anchors_do_not_wait_for_a_change_of_another_person(
    world: World, active: FrontEnd, database_url: str
) -> None:
    """Heads are read without a lock: one that is being changed is anchored as it was."""
    if database_url.startswith("sqlite"):
        return
    await history(world, active)
    other = await asyncpg.connect(database_url)
    statements: list[str] = []
    try:
        await other.execute("BEGIN; SELECT 1 FROM audit_heads FOR UPDATE")
        async with asyncio.timeout(5):
            async for moved in anchors._moved_heads(world.application.database):
                statements += [str(row["subject_id"]) for row in moved]
    finally:
        await other.close()

    assert len(statements) == len((await world.rows("audit_heads"))["audit_heads"])


async def test_heads_without_their_anchor_are_no_reason_to_try_for_ever(
    world: World, active: FrontEnd
) -> None:
    """Somebody removed the newest anchor alone: its number is taken by its heads."""
    await history(world, active)
    await anchor(world)
    await change(world, Query(delete(audit_anchors_table)))
    set_back = update(audit_heads_table).values(anchored_number=0)
    await change(world, Query(set_back))

    async with asyncio.timeout(20):
        with pytest.raises(UniqueViolation):
            await anchor(world)
