"""What was viewed: rows that an entry per batch vouches for, and every kind of tampering is found."""

import pytest
from sqlalchemy import and_, bindparam, delete, insert, select, text, update

from core import audit
from core.audit import (
    DONE,
    Action,
    AuditRecord,
    access_log_table,
    audit_entries_table,
)
from core.audit import access_log as kept
from core.audit import audit_heads_table as heads_table
from core.audit import batches as verified
from core.audit.access_log import LANES, month_of
from core.audit.verify import BrokenChain
from core.crypto import KeyRing, Seals
from core.db import Query, Transaction
from core.kernel.clock import instant
from tests.core.test_audit import change, found
from tests.front_end import FrontEnd, World

pytestmark = pytest.mark.usefixtures("since_seeding")

CHANGED = "its batch of the access log was changed"
UNVOUCHED = "a batch of the access log has no entry"
BATCH = and_(
    access_log_table.c.lane == bindparam("of_lane"), access_log_table.c.batch == bindparam("of")
)
ROW = and_(BATCH, access_log_table.c.position == bindparam("at_position"))
ENTRY = (
    audit_entries_table.c.subject_id == bindparam("of_lane"),
    audit_entries_table.c.number == bindparam("of"),
)
REMOVE = Query(delete(access_log_table).where(BATCH))
REMOVE_ENTRY = Query(delete(audit_entries_table).where(*ENTRY))


async def looked(world: World, citizen: FrontEnd) -> list[kept.AccessRow]:
    """The rows of a batch of three or more; another one stands before it."""
    await world.application.access_log.stop()
    for fields in (
        "viewer { bound }",
        "sessions { id } viewer { bound } cardStatus { __typename }",
    ):
        await citizen.post(f"{{ {fields} }}")
        await world.application.access_log.flush()
    rows = [kept.AccessRow(*row) for row in (await world.rows("access_log"))["access_log"]]
    newest = max(row.batch for row in rows)
    return [row for row in rows if row.batch == newest]


async def test_intact_batches_pass(world: World, active: FrontEnd) -> None:
    rows = await looked(world, active)

    assert len(rows) == 3
    assert {row.lane for row in rows} < set(LANES)
    assert await found(world) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("subject_id", 123),
        ("month", 202001),
        ("at", 1),
        ("position", 99),
        ("action", "RECEIPT"),
        ("result", "NO_CARD"),
        ("channel", "WECHAT"),
        ("session_id", 1),
    ],
)
async def test_finds_a_row_that_was_changed(
    world: World, active: FrontEnd, column: str, value: object
) -> None:
    lane, batch = (await looked(world, active))[0][3:5]

    altered = update(access_log_table).where(ROW).values({column: bindparam("new")})
    await change(world, Query(altered), of_lane=lane, of=batch, at_position=0, new=value)

    assert await found(world) == [BrokenChain(lane, batch, CHANGED)]


async def test_finds_text_moved_from_one_column_to_the_next(world: World, active: FrontEnd) -> None:
    """The members of a set are texts: no two rows may have the same one."""
    row = (await looked(world, active))[0]
    given = {"of_lane": row.lane, "of": row.batch, "at_position": row.position}

    moved = {"action": row.action[:-1], "result": row.action[-1] + row.result}
    await change(world, Query(update(access_log_table).where(ROW).values(moved)), **given)

    assert await found(world) == [BrokenChain(row.lane, row.batch, CHANGED)]


async def test_finds_two_rows_that_changed_places(world: World, active: FrontEnd) -> None:
    first, second, *_ = await looked(world, active)

    for row, position in ((first, 1_000), (second, first.position), (first, second.position)):
        at = 1_000 if position == second.position else row.position
        moved = update(access_log_table).where(ROW).values(position=position)
        await change(world, Query(moved), of_lane=row.lane, of=row.batch, at_position=at)

    assert await found(world) == [BrokenChain(first.lane, first.batch, CHANGED)]


async def test_finds_a_row_that_was_removed(world: World, active: FrontEnd) -> None:
    row = (await looked(world, active))[-1]
    given = {"of_lane": row.lane, "of": row.batch, "at_position": row.position}

    await change(world, Query(delete(access_log_table).where(ROW)), **given)

    assert await found(world) == [BrokenChain(row.lane, row.batch, CHANGED)]


async def test_finds_a_row_that_was_added(world: World, active: FrontEnd) -> None:
    row = (await looked(world, active))[-1]

    added = insert(access_log_table).values(row._replace(position=77)._asdict())
    await change(world, Query(added))

    assert await found(world) == [BrokenChain(row.lane, row.batch, CHANGED)]


async def test_finds_a_row_moved_to_another_batch(world: World, active: FrontEnd) -> None:
    row = (await looked(world, active))[-1]
    given = {"of_lane": row.lane, "of": row.batch, "at_position": row.position}

    moved = update(access_log_table).where(ROW).values(batch=row.batch - 1)
    await change(world, Query(moved), **given)

    assert await found(world) == [
        BrokenChain(row.lane, row.batch - 1, CHANGED),
        BrokenChain(row.lane, row.batch, CHANGED),
    ]


async def test_finds_a_batch_that_vanished(world: World, active: FrontEnd) -> None:
    lane, batch = (await looked(world, active))[0][3:5]

    await change(world, REMOVE, of_lane=lane, of=batch)

    assert await found(world) == [BrokenChain(lane, batch, CHANGED)]


@pytest.mark.parametrize("lane", ["its own", "another", "none", "a citizen"])
async def test_finds_a_batch_that_was_slipped_in(world: World, active: FrontEnd, lane: str) -> None:
    """Also if its lane is that of a chain that does have an entry of its number."""
    row = (await looked(world, active))[-1]
    choices = {"its own": row.lane, "another": row.lane % 8 + 1, "none": 0, "a citizen": 12345}
    number = 2 if lane == "a citizen" else row.batch + 9
    if lane == "a citizen":
        await extend(world, 12345, 2)

    slipped_in = row._replace(lane=choices[lane], batch=number)
    await change(world, Query(insert(access_log_table).values(slipped_in._asdict())))

    assert await found(world) == [BrokenChain(slipped_in.lane, number, UNVOUCHED)]


async def extend(world: World, subject_id: int, times: int) -> None:
    application = world.application

    async def job(db: Transaction) -> None:
        record = AuditRecord(subject_id, application.clock(), Action.SIGN_IN, DONE, "WECHAT", 1)
        for _ in range(times):
            head = await audit.head_of(db, subject_id)
            await audit.extend(db, application.dependencies.seals, head, record)

    await application.database.write(job)


async def test_a_batch_that_is_written_meanwhile_is_no_break(
    world: World, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verification has read the entries, and then the rows of a later batch."""
    application = world.application
    await looked(world, active)
    original = verified._vouched_for

    async def slowly(*given: object) -> object:
        entries = await original(*given)  # type: ignore[arg-type]
        await active.ask("{ viewer { bound } }")
        await application.access_log.flush()
        return entries

    monkeypatch.setattr(verified, "_vouched_for", slowly)

    assert await found(world) == []


async def test_reads_more_rows_than_a_page(
    world: World, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = await looked(world, active)
    monkeypatch.setattr(
        verified,
        "_ROWS_AFTER",
        Query(verified._ROWS_AFTER._build.limit(2)),  # type: ignore[union-attr]
    )
    assert await found(world) == []

    await change(world, REMOVE, of_lane=rows[0].lane, of=rows[0].batch - 1)

    assert await found(world) == [BrokenChain(rows[0].lane, rows[0].batch - 1, CHANGED)]


async def test_finds_a_batch_that_vanished_with_its_entry(world: World, active: FrontEnd) -> None:
    lane, batch = (await looked(world, active))[0][3:5]

    await change(world, REMOVE, of_lane=lane, of=batch)
    await change(world, REMOVE_ENTRY, of_lane=lane, of=batch)

    assert await found(world) == [BrokenChain(lane, batch, "the end was cut off")]


async def test_finds_an_anchored_batch_that_vanished_with_its_head_set_back(
    world: World, active: FrontEnd
) -> None:
    """What is left fits; the anchor knows better."""
    lane, batch = (await looked(world, active))[0][3:5]
    await world.application.access_log.anchor()
    before = await world.application.database.fetch_one(
        Query(select(audit_entries_table.c.mac).where(*ENTRY)), of_lane=lane, of=batch - 1
    )
    assert before is not None

    await change(world, REMOVE, of_lane=lane, of=batch)
    await change(world, REMOVE_ENTRY, of_lane=lane, of=batch)
    set_back = update(heads_table).where(heads_table.c.subject_id == lane)
    values = {"number": batch - 1, "mac": bytes(before["mac"]), "anchored_number": batch - 1}
    await change(world, Query(set_back.values(values)))

    broken = await found(world)
    assert [(one.subject_id, one.number) for one in broken if isinstance(one, BrokenChain)] == [
        (lane, batch)
    ]


async def test_batches_are_verified_with_the_key_that_was_current_when_they_were_written(
    world: World, active: FrontEnd
) -> None:
    """The control: without the old key, its batches are broken."""
    old = world.application.dependencies.seals
    with_new = Seals(old.peppers, KeyRing({"new": b"n" * 32, **old.audit_keys.keys}))
    new_alone = Seals(old.peppers, KeyRing({"new": b"n" * 32}))
    row = (await looked(world, active))[0]
    database, clock = world.application.database, world.application.clock
    record = AuditRecord(row.subject_id, clock(), Action.VIEWER, DONE, "WECHAT", 1)

    async def job(db: Transaction) -> None:
        await kept.append(db, with_new, clock(), row.lane, [record])

    await database.write(job)

    assert await found(world, with_new) == []
    broken = [one async for one in verified.broken_batches(database, new_alone)]
    assert broken == [(row.lane, number, CHANGED) for number in range(1, row.batch + 1)]


async def test_a_month_begins_at_midnight_in_china() -> None:
    from datetime import UTC, datetime

    begins = instant(datetime(2026, 11, 30, 16, tzinfo=UTC))

    assert (month_of(begins - 1), month_of(begins)) == (202611, 202612)


async def test_the_history_lists_views_and_changes_in_order_of_time(
    world: World, active: FrontEnd
) -> None:
    """Page by page it is the same list, and the records of others are not in it."""
    other = await world.enter("lost")
    await active.ask("{ cardStatus { __typename } }")
    await other.ask("{ notificationSettings { __typename } }")
    await world.application.access_log.flush()
    await active.send_code("REPORT_LOSS")
    await active.ask("{ viewer { bound } }")
    await other.ask("{ notificationSettings { __typename } }")
    await world.application.access_log.flush()
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


async def test_the_history_passes_months_and_rows_of_one_moment(
    world: World, active: FrontEnd
) -> None:
    """Rows of several batches and months, of which some have the same time."""
    writer, clock = world.application.access_log, world.application.clock()
    await active.ask("{ viewer { bound } }")
    await writer.flush()
    mine = (await world.rows("access_log"))["access_log"][0].subject_id
    month = 31 * 24 * 3_600_000
    ats = [clock - 2 * month, clock - month, clock - month, clock - 5, clock - 5, clock - 5]
    for start in (0, 3):
        for at in ats[start : start + 3]:
            writer.add(AuditRecord(mine, at, Action.RECEIPT, DONE, "WECHAT", 1))
        await writer.flush()

    pages: list[str] = []
    cursor, more = None, True
    while more:
        names, cursor, more = await _page(active, 1, cursor)
        pages += names

    assert pages.count("RECEIPT") == len(ats)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_history_of_many_views_reads_a_page_by_the_key(
    world: World, active: FrontEnd
) -> None:
    database = world.application.database
    sql, _, _ = kept._BEFORE.compiled(database.dialect)
    plan = await database.fetch(Query(text(f"EXPLAIN QUERY PLAN {sql.replace('?', '1')}")))

    assert [row["detail"] for row in plan] == [
        "SEARCH access_log USING PRIMARY KEY (subject_id=? AND"
        " (month,at,lane,batch,position)<(?,?,?,?,?))"
    ]


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
