"""Due messages that nobody woke the worker for are found, whatever waits before them."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import and_, select, text, update

from core.db import Database, Query, Transaction, insert_into
from core.kernel.clock import DAY, HOUR, SECOND
from core.messaging import MessageKind, outbox
from core.messaging.backlog import MAX_PAGES, MAX_SUBJECTS, PAGE, Backlog
from core.messaging.outbox import LEASE, outbox_table
from tests.clock import START
from tests.conftest import PARTITIONS

SMS = MessageKind.SMS
_INSERT = insert_into(outbox_table)


def message(subject_id: int, number: int, **changes: Any) -> dict[str, Any]:
    given = {
        "kind": SMS.value,
        "due_at": START,
        "created_at": START,
        "expires_at": START + DAY,
        "attempts": 0,
        "claimed_until": 0,
    }
    row = dict.fromkeys(outbox_table.columns.keys()) | given | changes
    return row | {"subject_id": subject_id, "id": number, "idempotency_key": f"key {number}"}


def blocked(subject_id: int, **first: Any) -> list[dict[str, Any]]:
    """A message that is due, after another one that is not."""
    first = first or {"due_at": START + HOUR // 20}
    return [message(subject_id, subject_id, **first), message(subject_id, subject_id + 1_000_000)]


async def put(db: Database, rows: list[dict[str, Any]]) -> None:
    async def job(transaction: Transaction) -> None:
        await transaction.execute_many(_INSERT, rows)

    await db.write(job)


async def found(db: Database, of: Backlog | None = None, kind: MessageKind = SMS) -> list[int]:
    return (await (of or Backlog()).find(db, START, [kind]))[kind].subjects


async def test_finds_whose_first_message_is_due(db: Database) -> None:
    await put(db, [message(1, 11), message(1, 12), message(2, 21, due_at=START - HOUR)])
    await put(db, [message(3, 31, due_at=START + 1)])

    assert sorted(await found(db)) == [1, 2]


@pytest.mark.parametrize(
    "over",
    [{"settled_at": START}, {"dead_at": START}, {"claimed_until": START}],
    ids=["settled", "a dead letter", "a lease that ended"],
)
async def test_what_is_over_blocks_nobody(db: Database, over: dict[str, int]) -> None:
    await put(db, blocked(1, **over))

    assert await found(db) == [1]


@pytest.mark.parametrize(
    "first",
    [{"due_at": START + SECOND}, {"claimed_until": START + LEASE}],
    ids=["postponed", "claimed"],
)
async def test_who_waits_for_an_earlier_message_is_not_found(
    db: Database, first: dict[str, int]
) -> None:
    await put(db, blocked(1, **first))

    assert await found(db) == []


async def test_an_earlier_message_of_another_kind_blocks_nobody(db: Database) -> None:
    await put(db, [message(1, 11, due_at=START + SECOND), message(1, 12, kind="SMS_CODE")])

    assert await found(db, kind=MessageKind.SMS_CODE) == [1]
    assert await found(db) == []


async def test_what_a_clock_ahead_planned_is_found(db: Database) -> None:
    await put(db, [message(1, 11, due_at=START + DAY, claimed_until=START + DAY)])

    assert await found(db) == [1]


async def test_says_whether_there_are_others(db: Database) -> None:
    await put(db, [message(person, person) for person in range(1, MAX_SUBJECTS + 2)])

    some = (await Backlog().find(db, START, [SMS]))[SMS]
    await put(db, [message(1, 999, kind="SMS_CODE")])
    one = (await Backlog().find(db, START, [MessageKind.SMS_CODE]))[MessageKind.SMS_CODE]

    assert (len(set(some.subjects)), some.are_all) == (MAX_SUBJECTS, False)
    assert (one.subjects, one.are_all) == ([1], True)


# --- many who wait -------------------------------------------------------------------------


async def test_many_who_wait_do_not_hide_one_who_does_not(db: Database) -> None:
    await put(db, [row for person in range(1, 2 * PAGE) for row in blocked(person)])
    await put(db, [message(10_000, 10_000)])

    assert await found(db) == [10_000]


async def put_more_than_are_read_at_once(db: Database) -> None:
    people = range(1, MAX_PAGES * PAGE + 2)
    await put(db, [row for person in people for row in blocked(person)])


async def test_more_than_are_read_at_once_hide_nobody_for_ever(db: Database) -> None:
    await put_more_than_are_read_at_once(db)
    await put(db, [message(10_000, 10_000)])
    of = Backlog()

    assert [await found(db, of) for _ in range(5)] == [[], [10_000], [], [10_000], []]


async def test_read_from_the_start_each_time_they_would(db: Database) -> None:
    """The control."""
    await put_more_than_are_read_at_once(db)
    await put(db, [message(10_000, 10_000)])

    assert [await found(db, Backlog()) for _ in range(5)] == [[]] * 5


async def test_who_is_freed_on_a_page_already_read_is_found(db: Database) -> None:
    await put_more_than_are_read_at_once(db)
    of = Backlog()
    assert await found(db, of) == []

    async def job(transaction: Transaction) -> None:
        await transaction.fetch(
            Query(update(outbox_table).where(outbox_table.c.id == 1).values(settled_at=START))
        )

    await db.write(job)

    assert [await found(db, of) for _ in range(2)] == [[], [1]]


# --- a hundred thousand ----------------------------------------------------------------------

MANY = 100_000
_MILLISECONDS = 5
_NUMBERS = {
    "sqlite": f"""WITH RECURSIVE numbers(n) AS
        (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY}) SELECT n FROM numbers""",
    "postgresql": f"SELECT n FROM generate_series(1, {MANY}) AS numbers(n)",
}


def many(dialect: str, first_id: int, settled_at: str) -> Query:
    """Messages of one due time, two for each subject."""
    return Query(
        text(
            f"""INSERT INTO outbox (subject_id, id, kind, idempotency_key, created_at, due_at,
            expires_at, attempts, claimed_until, settled_at) SELECT 1 + n / 2, {first_id} + n, 'SMS',
            'key', {START}, {START}, {START + DAY}, 0, 0, {settled_at} FROM ({_NUMBERS[dialect]}) AS rows"""
        )
    )


@pytest.fixture
async def crowded(db: Database) -> AsyncIterator[Database]:
    """The statistics are of a time when all was settled: they promise that little is waiting."""

    async def fill(transaction: Transaction) -> None:
        await transaction.fetch(many(db.dialect.name, 1, str(START)))

    async def fill_again(transaction: Transaction) -> None:
        await transaction.fetch(many(db.dialect.name, MANY + 1, "NULL"))

    async def empty(transaction: Transaction) -> None:
        verb = "TRUNCATE" if db.dialect.name == "postgresql" else "DELETE FROM"
        await transaction.fetch(Query(text(f"{verb} outbox")))

    await db.write(fill)
    await analyze(db)
    await db.write(fill_again)
    yield db
    await db.write(empty)


async def analyze(db: Database) -> None:
    async def job(transaction: Transaction) -> None:
        await transaction.fetch(Query(text("ANALYZE outbox")))

    await db.write(job)


async def milliseconds(work: Callable[[int], Awaitable[object]], times: int = 20) -> float:
    """Of the fastest time: what else the machine does is not measured."""
    took = []
    for number in range(times):
        began = time.perf_counter()
        await work(number)
        took.append((time.perf_counter() - began) * 1000)
    return min(took)


_earlier = outbox_table.alias("earlier")
_FOR_ALL = Query(
    update(outbox_table)
    .where(
        outbox_table.c.id.in_(
            select(outbox_table.c.id)
            .where(outbox.is_waiting, outbox_table.c.kind == SMS.value)
            .where(outbox_table.c.due_at <= START, outbox_table.c.claimed_until <= START)
            .where(
                ~select(_earlier.c.id)
                .where(
                    _earlier.c.subject_id == outbox_table.c.subject_id,
                    _earlier.c.kind == outbox_table.c.kind,
                    _earlier.c.id < outbox_table.c.id,
                    and_(_earlier.c.settled_at.is_(None), _earlier.c.dead_at.is_(None)),
                )
                .exists()
            )
            .order_by(outbox_table.c.due_at, outbox_table.c.id)
            .limit(16)
            .with_for_update(skip_locked=True)
        )
    )
    .values(claimed_until=START + LEASE)
    .returning(outbox_table.c.id)
)


_PLANS = max(1, PARTITIONS)
"""The sweep's statement is planned for each partition."""


@pytest.mark.slow
async def test_of_a_hundred_thousand_one_is_claimed_at_once(
    crowded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control is one statement for everybody."""
    monkeypatch.setattr(outbox, "message_from", lambda row, _: SimpleNamespace(id=row["id"]))

    async def claim(number: int) -> None:
        async def job(transaction: Transaction) -> int:
            vault: Any = None
            kinds = list(MessageKind)
            return len(await outbox.claim(transaction, vault, 1_000 + number, kinds, START))

        assert await crowded.write(job) == 1

    async def find(_: int) -> None:
        assert len(await found(crowded)) == MAX_SUBJECTS

    async def claim_of_all(_: int) -> None:
        async def job(transaction: Transaction) -> int:
            return len(await transaction.fetch(_FOR_ALL))

        assert await crowded.write(job) == 16

    assert await milliseconds(claim) < _MILLISECONDS
    assert await milliseconds(find) < _MILLISECONDS * _PLANS
    await analyze(crowded)
    assert await milliseconds(claim_of_all, times=3) > _MILLISECONDS
