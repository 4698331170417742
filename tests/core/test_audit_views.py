"""What was viewed: kept in batches that an entry vouches for, and every kind of tampering is found."""

from typing import Any

import pytest
from sqlalchemy import bindparam, delete, insert, select, update

from core.audit import audit_entries, audit_heads
from core.audit_check import BrokenChain
from core.audit_views import EVERYBODY, audit_views
from core.database import Query
from tests.core.test_audit import change, found
from tests.front_end import FrontEnd, World

CHANGED = "the views that it vouches for were changed"
UNVOUCHED = "views have no entry that vouches for them"
AT = audit_views.c.batch == bindparam("of"), audit_views.c.position == bindparam("at")
REMOVE = Query(delete(audit_views).where(*AT))
MOVE = Query(update(audit_views).where(*AT).values(position=bindparam("to")))
ENTRY = audit_entries.c.person == EVERYBODY, audit_entries.c.number == bindparam("of")


async def looked(world: World, citizen: FrontEnd) -> int:
    """The number of a batch of three looks; another one stands before it."""
    for field in ("viewer { bound }", "sessions { id } viewer { bound } cardStatus { __typename }"):
        await citizen.post(f"{{ {field} }}")
        await world.application.audit.flush()
    return int(max(row[0] for row in (await world.rows("audit_views"))["audit_views"]))


async def test_intact_batches_pass(world: World, active: FrontEnd) -> None:
    batch = await looked(world, active)

    rows = (await world.rows("audit_views"))["audit_views"]
    assert sum(row[0] == batch for row in rows) >= 3
    assert await found(world) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("person", 1),
        ("at", 1),
        ("action", "RECEIPT"),
        ("result", "NO_CARD"),
        ("channel", "WECHAT"),
        ("session_id", 1),
    ],
)
async def test_finds_a_look_that_was_changed(
    world: World, active: FrontEnd, column: str, value: object
) -> None:
    batch = await looked(world, active)
    flip = Query(update(audit_views).where(*AT).values({column: bindparam("new")}))

    await change(world, flip, of=batch, at=1, new=value)

    assert await found(world) == [BrokenChain(EVERYBODY, batch, CHANGED)]


async def test_finds_a_look_that_was_removed(world: World, active: FrontEnd) -> None:
    batch = await looked(world, active)

    await change(world, REMOVE, of=batch, at=0)

    assert await found(world) == [BrokenChain(EVERYBODY, batch, CHANGED)]


async def test_finds_a_batch_whose_end_was_cut_off(world: World, active: FrontEnd) -> None:
    batch = await looked(world, active)
    rows = (await world.rows("audit_views"))["audit_views"]

    await change(world, REMOVE, of=batch, at=max(row[1] for row in rows if row[0] == batch))

    assert await found(world) == [BrokenChain(EVERYBODY, batch, CHANGED)]


async def test_finds_looks_in_another_order(world: World, active: FrontEnd) -> None:
    batch = await looked(world, active)
    for old, new in ((0, 100), (1, 0), (100, 1)):
        await change(world, MOVE, of=batch, at=old, to=new)

    assert await found(world) == [BrokenChain(EVERYBODY, batch, CHANGED)]


async def test_finds_looks_that_were_slipped_in(world: World, active: FrontEnd) -> None:
    batch = await looked(world, active)
    row: dict[str, Any] = {
        "batch": batch,
        "position": 50,
        "person": 1,
        "at": 1,
        "action": "VIEWER",
        "result": "DONE",
        "channel": "WECHAT",
        "session_id": 1,
    }

    await change(world, Query(insert(audit_views).values(row)))
    await change(world, Query(insert(audit_views).values(row | {"batch": batch + 9})))

    assert await found(world) == [
        BrokenChain(EVERYBODY, batch, CHANGED),
        BrokenChain(EVERYBODY, batch + 9, UNVOUCHED),
    ]


async def test_finds_a_batch_that_vanished_with_its_entry(world: World, active: FrontEnd) -> None:
    batch = await looked(world, active)

    await change(world, Query(delete(audit_views).where(audit_views.c.batch == batch)))
    await change(world, Query(delete(audit_entries).where(*ENTRY)), of=batch)

    assert await found(world) == [BrokenChain(EVERYBODY, batch, "the end was cut off")]


async def test_finds_an_anchored_batch_that_vanished_with_its_head_set_back(
    world: World, active: FrontEnd
) -> None:
    """What is left fits; the anchor knows better."""
    batch = await looked(world, active)
    await world.application.audit.anchor()
    before = await world.application.database.fetch_one(
        Query(select(audit_entries.c.mark).where(*ENTRY)), of=batch - 1
    )
    assert before is not None

    await change(world, Query(delete(audit_views).where(audit_views.c.batch == batch)))
    await change(world, Query(delete(audit_entries).where(*ENTRY)), of=batch)
    set_back = update(audit_heads).where(audit_heads.c.person == EVERYBODY)
    values = {"number": batch - 1, "mark": bytes(before["mark"]), "anchored_number": batch - 1}
    await change(world, Query(set_back.values(values)))

    broken = await found(world)
    assert [(one.person, one.number) for one in broken if isinstance(one, BrokenChain)] == [
        (EVERYBODY, batch)
    ]


async def test_the_history_lists_looks_and_changes_in_the_order_of_time(
    world: World, active: FrontEnd
) -> None:
    """Page by page, it is the same list."""
    await active.ask("{ cardStatus { __typename } }")
    await world.application.audit.flush()
    await active.send_code("REPORT_LOSS")
    await active.ask("{ viewer { bound } }")
    await world.application.audit.flush()
    whole = await _actions(active, 100)

    pages: list[str] = []
    cursor: str | None = None
    while True:
        answer = await active.ask(PAGE, first=2, after=cursor)
        names = [edge["node"]["action"] for edge in answer["edges"]]
        pages += [name for name in names if name != "SERVICE_HISTORY"]
        cursor = answer["pageInfo"]["endCursor"]
        if not answer["pageInfo"]["hasNextPage"]:
            break

    assert whole[:3] == ["VIEWER", "SEND_CODE", "CARD_STATUS"]
    assert pages == whole


PAGE = (
    "query($first: Int!, $after: String) { serviceHistory(first: $first, after: $after)"
    " { edges { node { action } } pageInfo { hasNextPage endCursor } } }"
)


async def _actions(citizen: FrontEnd, first: int) -> list[str]:
    answer = await citizen.ask(PAGE, first=first, after=None)
    return [edge["node"]["action"] for edge in answer["edges"]]
