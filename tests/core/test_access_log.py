"""What was viewed: kept in batches that an entry vouches for, and every kind of tampering is found."""

from collections.abc import Callable

import pytest
from sqlalchemy import bindparam, delete, insert, select, update

from core.audit import access_log as kept
from core.audit import access_log_table, audit_entries_table, audit_heads_table
from core.audit.access_log import EVERYBODY
from core.audit.verify import BrokenChain
from core.db import Query
from tests.core.test_audit import change, found
from tests.front_end import FrontEnd, World

CHANGED = "its batch of the access log was changed"
UNVOUCHED = "a batch of the access log has no entry"
BATCH = access_log_table.c.batch == bindparam("of")
ENTRY = (
    audit_entries_table.c.subject_id == EVERYBODY,
    audit_entries_table.c.number == bindparam("of"),
)
REMOVE = Query(delete(access_log_table).where(BATCH))
REMOVE_ENTRY = Query(delete(audit_entries_table).where(*ENTRY))
WRITE = Query(update(access_log_table).where(BATCH).values(records=bindparam("new")))
LOOK = "1\t1\tVIEWER\tDONE\tWECHAT\t1\n"


async def looked(world: World, citizen: FrontEnd) -> tuple[int, str]:
    """The number of a batch of three records or more, and it; another one stands before it."""
    for fields in (
        "viewer { bound }",
        "sessions { id } viewer { bound } cardStatus { __typename }",
    ):
        await citizen.post(f"{{ {fields} }}")
        await world.application.access_log.flush()
    number, views = max((await world.rows("access_log"))["access_log"])
    return number, views


async def test_intact_batches_pass(world: World, active: FrontEnd) -> None:
    _, views = await looked(world, active)

    assert views.count("\n") >= 2
    assert await found(world) == []


def with_field(number: int, value: str) -> Callable[[list[str]], list[str]]:
    def changed(lines: list[str]) -> list[str]:
        fields = lines[0].split("\t")
        fields[number] = value
        return ["\t".join(fields), *lines[1:]]

    return changed


@pytest.mark.parametrize(
    "changed",
    [
        with_field(0, "1"),
        with_field(1, "1"),
        with_field(2, "RECEIPT"),
        with_field(3, "NO_CARD"),
        with_field(4, "WECHAT"),
        with_field(5, "1\n"),
        lambda lines: lines[1:],
        lambda lines: lines[:-1],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines, LOOK],
        lambda _: [],
    ],
    ids=[
        "person",
        "at",
        "action",
        "result",
        "channel",
        "session",
        "first removed",
        "cut off",
        "reordered",
        "slipped in",
        "emptied",
    ],
)
async def test_finds_access_records_that_were_tampered_with(
    world: World, active: FrontEnd, changed: Callable[[list[str]], list[str]]
) -> None:
    batch, views = await looked(world, active)

    await change(world, WRITE, of=batch, new="".join(changed(views.splitlines(keepends=True))))

    assert await found(world) == [BrokenChain(EVERYBODY, batch, CHANGED)]


async def test_finds_a_batch_that_vanished(world: World, active: FrontEnd) -> None:
    batch, _ = await looked(world, active)

    await change(world, REMOVE, of=batch)

    assert await found(world) == [BrokenChain(EVERYBODY, batch, CHANGED)]


async def test_finds_a_batch_that_was_slipped_in(world: World, active: FrontEnd) -> None:
    batch, _ = await looked(world, active)

    await change(world, Query(insert(access_log_table).values(batch=batch + 9, records=LOOK)))

    assert await found(world) == [BrokenChain(EVERYBODY, batch + 9, UNVOUCHED)]


async def test_finds_a_batch_that_vanished_with_its_entry(world: World, active: FrontEnd) -> None:
    batch, _ = await looked(world, active)

    await change(world, REMOVE, of=batch)
    await change(world, REMOVE_ENTRY, of=batch)

    assert await found(world) == [BrokenChain(EVERYBODY, batch, "the end was cut off")]


async def test_finds_an_anchored_batch_that_vanished_with_its_head_set_back(
    world: World, active: FrontEnd
) -> None:
    """What is left fits; the anchor knows better."""
    batch, _ = await looked(world, active)
    await world.application.access_log.anchor()
    before = await world.application.database.fetch_one(
        Query(select(audit_entries_table.c.mac).where(*ENTRY)), of=batch - 1
    )
    assert before is not None

    await change(world, REMOVE, of=batch)
    await change(world, REMOVE_ENTRY, of=batch)
    set_back = update(audit_heads_table).where(audit_heads_table.c.subject_id == EVERYBODY)
    values = {"number": batch - 1, "mac": bytes(before["mac"]), "anchored_number": batch - 1}
    await change(world, Query(set_back.values(values)))

    broken = await found(world)
    assert [(one.subject_id, one.number) for one in broken if isinstance(one, BrokenChain)] == [
        (EVERYBODY, batch)
    ]


@pytest.mark.parametrize("filed", ["nothing", "some", "all"])
async def test_the_history_lists_views_and_changes_in_order_of_time(
    world: World, active: FrontEnd, filed: str
) -> None:
    """Page by page it is the same list, and the records of others are not in it."""
    other = await world.enter("lost")
    await active.ask("{ cardStatus { __typename } }")
    await other.ask("{ notificationSettings { __typename } }")
    await world.application.access_log.flush()
    if filed == "some":
        await world.application.access_log.index()
    await active.send_code("REPORT_LOSS")
    await active.ask("{ viewer { bound } }")
    await other.ask("{ notificationSettings { __typename } }")
    await world.application.access_log.flush()
    if filed == "all":
        await world.application.access_log.index()
    whole = (await _page(active, 100, None))[0]

    pages: list[str] = []
    cursor, more = None, True
    while more:
        names, cursor, more = await _page(active, 2, cursor)
        pages += names

    assert whole[:3] == ["VIEWER", "SEND_CODE", "CARD_STATUS"]
    assert "NOTIFICATION_SETTINGS" not in whole
    assert pages[-len(whole) :] == whole
    assert set(pages[: -len(whole)]) <= {"SERVICE_HISTORY"}


async def test_filing_again_changes_nothing(world: World, active: FrontEnd) -> None:
    await looked(world, active)
    database = world.application.database

    assert await kept.index_batches(database) > 0
    first = await world.rows("access_log_subjects", "access_log_indexed")
    assert await kept.index_batches(database) == 0
    await change(world, Query(update(kept.access_log_indexed_table).values(batch=0)))
    assert await kept.index_batches(database) > 0

    assert await world.rows("access_log_subjects", "access_log_indexed") == first


async def _page(
    citizen: FrontEnd, first: int, after: str | None
) -> tuple[list[str], str | None, bool]:
    answer = await citizen.ask(
        "query($first: Int!, $after: String) { serviceHistory(first: $first, after: $after)"
        " { edges { node { action } } pageInfo { hasNextPage endCursor } } }",
        first=first,
        after=after,
    )
    names = [edge["node"]["action"] for edge in answer["edges"]]
    return names, answer["pageInfo"]["endCursor"], answer["pageInfo"]["hasNextPage"]
