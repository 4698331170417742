"""The outbox and its worker: claimed once, delivered once, in order, and never forgotten."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import respx
from sqlalchemy import and_, bindparam, func, select, update
from sqlalchemy import text as sql

from core.crypto import CannotOpen
from core.db import Database, Query, Transaction, Writes
from core.kernel.clock import DAY, SECOND, Instant
from core.kernel.settings import Settings
from core.messaging import MessageKind, OutboxWorker, outbox
from core.messaging.outbox import LEASE, OutboxMessage
from core.messaging.worker import CONCURRENCY
from core.partners.base import TOTAL_SECONDS
from core.unit_of_work import Dependencies, UnitOfWork
from gateway.app import build_dependencies
from tests.clock import START, Clock
from tests.units import perform_in

SMS = "http://sms.test"
NOBODY = OutboxMessage(0, 0, MessageKind.SMS, "", {}, 0, 0, 0, 0)
ROWS = Query(select(outbox.outbox_table).order_by(outbox.outbox_table.c.id))


@pytest.fixture
async def dependencies(settings: Settings) -> AsyncIterator[Dependencies]:
    async with httpx.AsyncClient(trust_env=False) as http:
        given = settings_with(settings, sms_url=SMS)
        dependencies = build_dependencies(given, http)
        yield dependencies
        dependencies.hasher.close()
        dependencies.pictures_pool.close()


def settings_with(settings: Settings, **changes: Any) -> Settings:
    return replace(settings, **changes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def put(
    db: Database, dependencies: Dependencies, text: str, person: int = 1, lasts: int = DAY
) -> None:
    def work(unit: UnitOfWork) -> None:
        outbox.put_sms(
            unit,
            subject_id=person,
            phone="19900001001",
            template="CARD_READY",
            text=text,
            expires_at=START + lasts,
        )

    await perform_in(db, dependencies, START, work)


async def claim(
    db: Database, dependencies: Dependencies, now: Instant, person: int = 1
) -> list[OutboxMessage]:
    async def job(transaction: Transaction) -> list[OutboxMessage]:
        vault = dependencies.vault
        return await outbox.claim(transaction, vault, person, list(MessageKind), now)

    return await db.write(job)


async def test_of_many_workers_one_claims_a_row(db: Database, dependencies: Dependencies) -> None:
    for person in range(10):
        await put(db, dependencies, "x", person)

    claims = await asyncio.gather(
        *(claim(db, dependencies, START, number % 10) for number in range(200))
    )

    claimed = [effect.id for effects in claims for effect in effects]
    assert len(claimed) == len(set(claimed)) == 10


_of_person = and_(outbox.outbox_table.c.subject_id == bindparam("subject_id"), outbox.is_waiting)
_UNGUARDED = Query(
    update(outbox.outbox_table)
    .where(outbox.outbox_table.c.subject_id == bindparam("subject_id"))
    .where(
        outbox.outbox_table.c.id.in_(
            select(func.min(outbox.outbox_table.c.id)).where(_of_person, outbox.is_unclaimed)
        )
    )
    .values(claimed_until=bindparam("until"))
    .returning(*outbox.outbox_table.c)
)
_WAITS_FOR_LOCK = Query(
    sql(
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
)


async def claimed_by_who_waits(db: Database, dependencies: Dependencies, settles: bool) -> int:
    """How many messages a transaction takes that waits for another one, which has taken one."""
    await put(db, dependencies, "x")
    has_claimed, may_commit = asyncio.Event(), asyncio.Event()

    async def job(transaction: Transaction) -> int:
        vault = dependencies.vault
        found = await outbox.claim(transaction, vault, 1, [MessageKind.SMS], START)
        if settles:
            unit = UnitOfWork(transaction, START, None, dependencies)
            await outbox.settle(unit, found[0])
            for write in unit.writes:
                await transaction.fetch(write.query, **write.values)
        has_claimed.set()
        await may_commit.wait()
        return len(found)

    first = asyncio.create_task(db.write(job))
    await has_claimed.wait()
    second = asyncio.create_task(claim(db, dependencies, START))
    for _ in range(500):
        if await db.fetch(_WAITS_FOR_LOCK):
            break
        await asyncio.sleep(0.01)
    may_commit.set()

    assert await first == 1
    return len(await second)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("settles", [True, False], ids=["settled", "claimed"])
async def test_who_waited_for_another_claim_takes_nothing_of_it(
    db: Database, dependencies: Dependencies, settles: bool
) -> None:
    assert await claimed_by_who_waits(db, dependencies, settles) == 0


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("settles", [True, False], ids=["settled", "claimed"])
async def test_with_conditions_in_the_sub_select_alone_both_take_it(
    db: Database, dependencies: Dependencies, monkeypatch: pytest.MonkeyPatch, settles: bool
) -> None:
    """The control."""
    monkeypatch.setattr(outbox, "_CLAIM", _UNGUARDED)
    monkeypatch.setattr(outbox, "message_from", lambda row, _: replace(NOBODY, id=row["id"]))

    assert await claimed_by_who_waits(db, dependencies, settles) == 1


async def test_a_claim_ends_when_its_worker_dies(db: Database, dependencies: Dependencies) -> None:
    await put(db, dependencies, "x")
    first = await claim(db, dependencies, START)

    within = await claim(db, dependencies, START + LEASE - 1)
    after = await claim(db, dependencies, START + LEASE)

    assert within == []
    assert [effect.idempotency_key for effect in after] == [first[0].idempotency_key]
    assert after[0].attempts == 2


def test_a_lease_outlasts_asking_a_partner_and_telling_it() -> None:
    assert LEASE > 2 * TOTAL_SECONDS * SECOND


async def test_a_worker_that_lost_its_claim_settles_nothing(
    db: Database, dependencies: Dependencies
) -> None:
    await put(db, dependencies, "x")
    late = (await claim(db, dependencies, START))[0]
    await claim(db, dependencies, START + LEASE)

    async def settle(unit: UnitOfWork) -> bool:
        return await outbox.settle(unit, late)

    assert not await perform_in(db, dependencies, START + LEASE, settle)

    assert (await db.fetch(ROWS))[0]["settled_at"] is None


async def test_one_persons_rows_keep_their_order(db: Database, dependencies: Dependencies) -> None:
    for text in ("first", "second", "third"):
        await put(db, dependencies, text)
    await put(db, dependencies, "other", person=2)

    effects = await claim(db, dependencies, START)

    assert [effect.payload["text"] for effect in effects] == ["first"]


async def test_a_message_waits_for_no_other_kind(db: Database, dependencies: Dependencies) -> None:
    await put(db, dependencies, "first")
    await put(db, dependencies, "second")
    await put_code(db, dependencies, 1)

    effects = await claim(db, dependencies, START)

    assert [effect.kind for effect in effects] == [MessageKind.SMS, MessageKind.SMS_CODE]


async def test_of_a_kind_without_room_nothing_is_claimed(
    db: Database, dependencies: Dependencies
) -> None:
    await put(db, dependencies, "first")
    await put_code(db, dependencies, 1)

    async def job(transaction: Transaction) -> list[OutboxMessage]:
        kinds = [MessageKind.SMS_CODE, MessageKind.ISSUER_ORDER]
        return await outbox.claim(transaction, dependencies.vault, 1, kinds, START)

    effects = await db.write(job)

    assert [effect.kind for effect in effects] == [MessageKind.SMS_CODE]
    assert [row["claimed_until"] for row in await db.fetch(ROWS)] == [0, START + LEASE]


async def test_delivers_in_order_and_erases_what_was_said(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    for text in ("first", "second", "third"):
        await put(db, dependencies, text)
    with respx.mock(base_url=SMS) as sms:
        route = sms.post("/messages").respond(json={"taken": True})

        tried = await OutboxWorker(db, dependencies, {}, clock).deliver_due()

    said = [httpx.Response(200, content=call.request.content).json() for call in route.calls]
    assert [message["text"] for message in said] == ["first", "second", "third"]
    assert tried == 3
    for row in await db.fetch(ROWS):
        assert row["settled_at"] == START
        assert row["payload"] is None


async def test_a_delivery_repeated_after_a_death_has_the_same_key(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    """The worker told the partner, and died before it could write that down.

    The partner has forgotten it, so it is told again.
    """
    await put(db, dependencies, "x")
    with respx.mock(base_url=SMS) as sms:
        route = sms.post("/messages").respond(json={"taken": True})
        sms.post("/outcome").respond(json={"taken": False})
        dying = OutboxWorker(db, dependencies, {}, clock)
        effects = await dying._claim(1, [MessageKind.SMS])
        await dying._delivery._call_partner(effects[0])

        clock.now += LEASE
        await OutboxWorker(db, dependencies, {}, clock).deliver_due()

    keys = [call.request.headers["Idempotency-Key"] for call in route.calls]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert (await db.fetch(ROWS))[0]["settled_at"] == clock.now


@pytest.mark.parametrize(
    "down",
    [
        httpx.ConnectError("no"),
        httpx.ReadTimeout("late"),
        httpx.Response(503, json={"code": "BUSY"}),
        httpx.Response(500, text="oops"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"taken": False}),
    ],
    ids=["refused", "late", "busy", "broken", "garbage", "not taken"],
)
async def test_a_partner_that_is_down_is_asked_again_later(
    db: Database, dependencies: Dependencies, clock: Clock, down: httpx.Response | Exception
) -> None:
    await put(db, dependencies, "x")
    worker = OutboxWorker(db, dependencies, {}, clock)
    with respx.mock(base_url=SMS, assert_all_called=False) as sms:
        answer = {"side_effect": down} if isinstance(down, Exception) else {"return_value": down}
        route = sms.post("/messages").mock(**answer)
        outcome = sms.post("/outcome").mock(**answer)
        await worker.deliver_due()
        row = (await db.fetch(ROWS))[0]
        up = {"side_effect": None}
        route.mock(**up, return_value=httpx.Response(200, json={"taken": True}))
        outcome.mock(**up, return_value=httpx.Response(200, json={"taken": False}))
        clock.now = row["due_at"] - 1
        too_early = await worker.deliver_due()
        clock.now = row["due_at"]
        in_time = await worker.deliver_due()

    assert START < row["due_at"] <= START + 2 * SECOND
    assert row["failure"]
    assert (too_early, in_time) == (0, 1)
    settled = (await db.fetch(ROWS))[0]
    assert (settled["settled_at"], settled["failure"]) == (clock.now, None)


async def waits_of_failures(db: Database, dependencies: Dependencies, clock: Clock) -> list[int]:
    """Before each repetition of a message that fails twelve times."""
    waits = []
    with respx.mock(base_url=SMS) as sms:
        sms.post("/messages").mock(side_effect=httpx.ConnectError("no"))
        for _ in range(12):
            await OutboxWorker(db, dependencies, {}, clock).deliver_due()
            due_at = (await db.fetch(ROWS))[0]["due_at"]
            waits.append(due_at - clock.now)
            clock.now = due_at
    return waits


async def test_waits_longer_each_time_up_to_five_minutes(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    await put(db, dependencies, "x")
    waits = await waits_of_failures(db, dependencies, clock)

    assert waits[0] <= 2 * SECOND
    assert all(150 * SECOND <= wait <= 300 * SECOND for wait in waits[8:])


async def test_a_code_waits_ten_seconds_at_most_however_often_it_failed(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    await put_code(db, dependencies, 1)
    waits = await waits_of_failures(db, dependencies, clock)

    assert waits[0] <= 2 * SECOND
    assert all(5 * SECOND <= wait <= 10 * SECOND for wait in waits[8:])


async def test_what_a_partner_will_never_take_is_dead_lettered(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    await put(db, dependencies, "first")
    await put(db, dependencies, "second")
    with respx.mock(base_url=SMS) as sms:
        route = sms.post("/messages").mock(
            side_effect=[
                httpx.Response(422, json={"code": "NO_SUCH_TEMPLATE"}),
                httpx.Response(200, json={"taken": True}),
            ]
        )
        await OutboxWorker(db, dependencies, {}, clock).deliver_due()
        clock.now += DAY // 2
        await OutboxWorker(db, dependencies, {}, clock).deliver_due()

    dead, next_one = await db.fetch(ROWS)
    assert route.call_count == 2
    assert dead["dead_at"] == START
    assert dead["failure"] == "rejected: NO_SUCH_TEMPLATE"
    assert dead["payload"] is not None
    assert next_one["settled_at"] == START


async def test_of_a_long_reason_the_beginning_is_kept(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    await put(db, dependencies, "x")
    await put(db, dependencies, "y", person=2)
    [later] = await claim(db, dependencies, START)
    [dead] = await claim(db, dependencies, START, person=2)

    writes = Writes()
    outbox.postpone(writes, later, START + SECOND, "w" * 300, None)
    outbox.dead_letter(writes, dead, START, "p" * 300)
    await db.apply(writes)

    assert [row["failure"] for row in await db.fetch(ROWS)] == ["w" * 200, "p" * 200]


async def test_what_is_too_late_is_dead_lettered_and_not_sent(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    await put(db, dependencies, "x", lasts=300 * SECOND)
    clock.now = START + 300 * SECOND
    with respx.mock(base_url=SMS, assert_all_called=False) as sms:
        route = sms.post("/messages").respond(json={"taken": True})
        await OutboxWorker(db, dependencies, {}, clock).deliver_due()

    assert route.call_count == 0
    assert (await db.fetch(ROWS))[0]["failure"] == "expired"


async def test_a_payload_is_sealed_and_bound_to_its_row(
    db: Database, dependencies: Dependencies
) -> None:
    await put(db, dependencies, "您的社会保障卡已制好")

    row = (await db.fetch(ROWS))[0]

    assert b"19900001001" not in bytes(row["payload"])
    with pytest.raises(CannotOpen):
        dependencies.vault.open(bytes(row["payload"]), "outbox.payload", row["id"] + 1)


# --- outcomes that are unknown ---------------------------------------------------------------

UNKNOWN: dict[str, httpx.Response | Exception] = {
    "late": httpx.ReadTimeout("late"),
    "broken": httpx.Response(500, text="oops"),
    "garbage": httpx.Response(200, text="<html>"),
}


def answers(route: respx.Route, *given: httpx.Response | Exception) -> None:
    route.mock(side_effect=list(given))


TAKEN = httpx.Response(200, json={"taken": True})
NOT_ACCEPTED = httpx.Response(200, json={"taken": False})


async def until_due(db: Database, clock: Clock) -> None:
    clock.now = (await db.fetch(ROWS))[0]["due_at"]


@pytest.mark.parametrize("how", UNKNOWN)
async def test_a_partners_late_success_is_taken(
    db: Database, dependencies: Dependencies, clock: Clock, how: str
) -> None:
    await put(db, dependencies, "x")
    worker = OutboxWorker(db, dependencies, {}, clock)
    with respx.mock(base_url=SMS) as sms:
        told, asked = sms.post("/messages"), sms.post("/outcome")
        answers(told, UNKNOWN[how])
        answers(asked, TAKEN)
        await worker.deliver_due()
        unknown = (await db.fetch(ROWS))[0]
        await until_due(db, clock)
        await worker.deliver_due()

    row = (await db.fetch(ROWS))[0]
    key = told.calls[0].request.headers["Idempotency-Key"]
    assert unknown["unknown_since"] == START
    assert (told.call_count, asked.call_count) == (1, 1)
    assert httpx.Response(200, content=asked.calls[0].request.content).json() == {
        "idempotencyKey": key
    }
    assert (row["settled_at"], row["unknown_since"]) == (clock.now, None)


async def test_what_was_not_taken_is_told_again_under_the_same_key(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    await put(db, dependencies, "x")
    worker = OutboxWorker(db, dependencies, {}, clock)
    with respx.mock(base_url=SMS) as sms:
        told, asked = sms.post("/messages"), sms.post("/outcome")
        answers(told, httpx.ReadTimeout("late"), TAKEN)
        answers(asked, NOT_ACCEPTED)
        await worker.deliver_due()
        await until_due(db, clock)
        await worker.deliver_due()

    keys = {call.request.headers["Idempotency-Key"] for call in told.calls}
    assert (told.call_count, len(keys)) == (2, 1)
    assert (await db.fetch(ROWS))[0]["settled_at"] == clock.now


async def test_nothing_is_repeated_while_the_outcome_cannot_be_asked(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    await put(db, dependencies, "x")
    worker = OutboxWorker(db, dependencies, {}, clock)
    with respx.mock(base_url=SMS) as sms:
        told = sms.post("/messages").mock(side_effect=httpx.ReadTimeout("late"))
        sms.post("/outcome").mock(side_effect=httpx.ConnectError("no"))
        for _ in range(4):
            await worker.deliver_due()
            await until_due(db, clock)

    row = (await db.fetch(ROWS))[0]
    assert told.call_count == 1
    assert (row["attempts"], row["unknown_since"]) == (4, START)


async def test_what_the_partner_was_too_busy_for_is_repeated_without_asking(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    """The control: a partner that says that it did nothing need not be asked."""
    await put(db, dependencies, "x")
    worker = OutboxWorker(db, dependencies, {}, clock)
    with respx.mock(base_url=SMS, assert_all_called=False) as sms:
        told, asked = sms.post("/messages"), sms.post("/outcome")
        answers(told, httpx.Response(503, json={"code": "BUSY"}), TAKEN)
        await worker.deliver_due()
        await until_due(db, clock)
        await worker.deliver_due()

    assert (told.call_count, asked.call_count) == (2, 0)


async def test_what_expired_while_unknown_is_asked_for_a_last_time(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    await put(db, dependencies, "x", lasts=SECOND)
    worker = OutboxWorker(db, dependencies, {}, clock)
    with respx.mock(base_url=SMS) as sms:
        answers(sms.post("/messages"), httpx.ReadTimeout("late"))
        answers(sms.post("/outcome"), TAKEN)
        await worker.deliver_due()
        clock.now += DAY
        await worker.deliver_due()

    row = (await db.fetch(ROWS))[0]
    assert (row["settled_at"], row["dead_at"]) == (clock.now, None)


# --- lanes -----------------------------------------------------------------------------------


async def put_code(db: Database, dependencies: Dependencies, person: int) -> None:
    def work(unit: UnitOfWork) -> None:
        outbox.put_sms(
            unit,
            subject_id=person,
            phone="19900001001",
            template="VERIFICATION_CODE",
            text="123456",
            purpose="BIND_CARD",
            code="123456",
            expires_at=START + DAY,
        )

    await perform_in(db, dependencies, START, work)


@pytest.mark.parametrize("lanes", [True, False], ids=["lanes", "control: one batch"])
async def test_a_slow_partner_delays_no_code(
    db: Database, dependencies: Dependencies, clock: Clock, lanes: bool
) -> None:
    """Twenty notices whose SMS hang, and then a code. Delivered in one batch, it waits for them."""
    release, seen = asyncio.Event(), asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if b"VERIFICATION_CODE" in request.content:
            seen.set()
        else:
            await release.wait()
        return TAKEN

    for person in range(20):
        await put(db, dependencies, "notice", person)
    worker = OutboxWorker(db, dependencies, {}, clock, poll_seconds=0.02)
    with respx.mock(base_url=SMS) as sms:
        sms.post("/messages").mock(side_effect=answer)
        batch = None if lanes else asyncio.create_task(worker.deliver_due())
        if lanes:
            worker.start()
        await asyncio.sleep(0.1)
        await put_code(db, dependencies, 99)
        worker.wake(99)
        in_time = await _within(seen, 0.5)
        release.set()
        await (batch or worker.drained())
        await worker.stop()

    assert in_time is lanes
    assert seen.is_set()


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


@contextlib.asynccontextmanager
async def working(
    db: Database, dependencies: Dependencies, poll_seconds: float = 60
) -> AsyncIterator[OutboxWorker]:
    """Its clock stands, and by default it reads the backlog at the start only."""
    worker = OutboxWorker(db, dependencies, {}, Clock(), poll_seconds=poll_seconds)
    worker.start()
    try:
        await asyncio.sleep(0.1)
        yield worker
    finally:
        await worker.stop()


async def all_settled(db: Database, seconds: float = 10) -> bool:
    for _ in range(int(seconds / 0.02)):
        if all(row["settled_at"] for row in await db.fetch(ROWS)):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_who_is_woken_delivers_the_subjects_messages_one_after_another(
    db: Database, dependencies: Dependencies
) -> None:
    async with working(db, dependencies) as worker:
        for number in range(3):
            await put(db, dependencies, f"{number}")
        await put(db, dependencies, "nobody said so", person=2)
        with respx.mock(base_url=SMS) as sms:
            route = sms.post("/messages").respond(json={"taken": True})
            worker.wake(1)
            await all_settled(db, 0.5)

    said = [httpx.Response(200, content=call.request.content).json() for call in route.calls]
    assert [message["text"] for message in said] == ["0", "1", "2"]


async def test_what_nobody_said_is_found_at_the_next_look(
    db: Database, dependencies: Dependencies
) -> None:
    async with working(db, dependencies, poll_seconds=0.2):
        with respx.mock(base_url=SMS) as sms:
            sms.post("/messages").respond(json={"taken": True})
            await put(db, dependencies, "x")
            assert await all_settled(db, 2)


async def test_a_kind_has_sixteen_deliveries_at_a_time_and_leaves_nobody_out(
    db: Database, dependencies: Dependencies
) -> None:
    """A hundred are woken at once; those without room are found as soon as there is some."""
    release, at_a_time = asyncio.Event(), 0

    async def answer(_: httpx.Request) -> httpx.Response:
        nonlocal at_a_time
        at_a_time += 1
        await release.wait()
        return TAKEN

    async with working(db, dependencies) as worker:
        for person in range(100):
            await put(db, dependencies, "x", person)
        with respx.mock(base_url=SMS) as sms:
            route = sms.post("/messages").mock(side_effect=answer)
            for person in range(100):
                worker.wake(person)
            for _ in range(100):
                if at_a_time >= CONCURRENCY:
                    break
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            before_release = at_a_time
            release.set()
            assert await all_settled(db)

    assert before_release == CONCURRENCY
    assert route.call_count == 100


async def test_a_worker_that_is_not_running_remembers_nobody(
    db: Database, dependencies: Dependencies, clock: Clock
) -> None:
    """The server may leave delivery to another process for days."""
    worker = OutboxWorker(db, dependencies, {}, clock)

    worker.wake(1)

    assert not worker._woken


async def test_many_workers_deliver_each_row_once_and_in_order(
    db: Database, dependencies: Dependencies
) -> None:
    """Eight workers on forty persons with five messages each."""
    said: dict[str, list[str]] = {}

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        person, text = httpx.Response(200, content=request.content).json()["text"].split()
        said.setdefault(person, []).append(text)
        return TAKEN

    for number in range(5):
        for person in range(40):
            await put(db, dependencies, f"{person} {number}", person)
    clock = Clock()
    workers = [OutboxWorker(db, dependencies, {}, clock, poll_seconds=0.01) for _ in range(8)]
    with respx.mock(base_url=SMS) as sms:
        sms.post("/messages").mock(side_effect=answer)
        for worker in workers:
            worker.start()
        await all_settled(db)
        for worker in workers:
            await worker.stop()

    assert said == {str(person): ["0", "1", "2", "3", "4"] for person in range(40)}
