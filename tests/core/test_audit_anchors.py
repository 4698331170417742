"""Anchors: they find what the chains alone cannot, and what was done to themselves."""

import asyncio

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
from core.db import Query
from tests.core.test_audit import change, found, history
from tests.front_end import FrontEnd, World

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
    heads = len((await world.rows("audit_heads"))["audit_heads"])
    monkeypatch.setattr(anchors, "MAX_HEADS", 4)
    monkeypatch.setattr(
        anchors,
        "_MOVED",
        Query(
            select(
                audit_heads_table.c.subject_id, audit_heads_table.c.number, audit_heads_table.c.mac
            )
            .where(text("number > anchored_number"))
            .order_by(audit_heads_table.c.subject_id)
            .limit(4)
        ),
    )

    made = await anchor(world)

    assert len(made) == -(-heads // 4)
    assert await found(world) == []
