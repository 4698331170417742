"""The outbox and its worker: claimed once, delivered once, in order, and never forgotten."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
import respx
from sqlalchemy import select

from core import outbox
from core.clock import DAY, SECOND, Instant
from core.database import Database, Query, Transaction
from core.delivery import Worker
from core.encryption import CannotOpen
from core.outbox import CLAIM_LASTS, Effect
from core.settings import Settings
from core.unit import Tools, Unit
from gateway.app import build_tools

START = 1_800_000_000_000
SMS = "http://sms.test"
ROWS = Query(select(outbox.outbox).order_by(outbox.outbox.c.id))


class Clock:
    def __init__(self) -> None:
        self.now: Instant = START

    def __call__(self) -> Instant:
        return self.now


@pytest.fixture
async def tools(settings: Settings) -> AsyncIterator[Tools]:
    async with httpx.AsyncClient(trust_env=False) as http:
        given = settings_with(settings, sms_url=SMS)
        tools = build_tools(given, http)
        yield tools
        tools.hasher.close()
        tools.studio.close()


def settings_with(settings: Settings, **changes: object) -> Settings:
    return replace(settings, **changes)  # type: ignore[type-var, misc]


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def put(db: Database, tools: Tools, text: str, person: int = 1, lasts: int = DAY) -> None:
    async def job(transaction: Transaction) -> None:
        unit = Unit(transaction, START, None, tools)
        await outbox.put_sms(
            unit,
            person=person,
            phone="19900001001",
            template="CARD_READY",
            text=text,
            expires_at=START + lasts,
        )

    await db.write(job)


async def claim(db: Database, tools: Tools, now: Instant) -> list[Effect]:
    async def job(transaction: Transaction) -> list[Effect]:
        return await outbox.claim(transaction, tools.vault, now)

    return await db.write(job)


async def test_of_many_workers_one_claims_a_row(db: Database, tools: Tools) -> None:
    for person in range(10):
        await put(db, tools, "x", person)

    claims = await asyncio.gather(*(claim(db, tools, START) for _ in range(20)))

    claimed = [effect.id for effects in claims for effect in effects]
    assert len(claimed) == len(set(claimed)) == 10


async def test_a_claim_ends_when_its_worker_dies(db: Database, tools: Tools) -> None:
    await put(db, tools, "x")
    first = await claim(db, tools, START)

    within = await claim(db, tools, START + CLAIM_LASTS - 1)
    after = await claim(db, tools, START + CLAIM_LASTS)

    assert within == []
    assert [effect.idempotency_key for effect in after] == [first[0].idempotency_key]
    assert after[0].attempts == 2


async def test_a_worker_that_lost_its_claim_settles_nothing(db: Database, tools: Tools) -> None:
    await put(db, tools, "x")
    late = (await claim(db, tools, START))[0]
    await claim(db, tools, START + CLAIM_LASTS)

    async def job(transaction: Transaction) -> None:
        await outbox.settle(transaction, late, START + CLAIM_LASTS)

    await db.write(job)

    assert (await db.fetch(ROWS))[0]["settled_at"] is None


async def test_one_persons_rows_keep_their_order(db: Database, tools: Tools) -> None:
    for text in ("first", "second", "third"):
        await put(db, tools, text)
    await put(db, tools, "other", person=2)

    effects = await claim(db, tools, START)

    assert [effect.payload["text"] for effect in effects] == ["first", "other"]


async def test_delivers_in_order_and_erases_what_was_said(
    db: Database, tools: Tools, clock: Clock
) -> None:
    for text in ("first", "second", "third"):
        await put(db, tools, text)
    with respx.mock(base_url=SMS) as sms:
        route = sms.post("/messages").respond(json={"taken": True})

        tried = await Worker(db, tools, {}, clock).deliver_due()

    said = [httpx.Response(200, content=call.request.content).json() for call in route.calls]
    assert [message["text"] for message in said] == ["first", "second", "third"]
    assert tried == 3
    for row in await db.fetch(ROWS):
        assert row["settled_at"] == START
        assert row["payload"] is None


async def test_a_delivery_repeated_after_a_death_has_the_same_key(
    db: Database, tools: Tools, clock: Clock
) -> None:
    """The worker told the partner, and died before it could write that down."""
    await put(db, tools, "x")
    with respx.mock(base_url=SMS) as sms:
        route = sms.post("/messages").respond(json={"taken": True})
        dying = Worker(db, tools, {}, clock)
        effects = await dying._claim()
        await dying._tell_partner(effects[0])

        clock.now += CLAIM_LASTS
        await Worker(db, tools, {}, clock).deliver_due()

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
    db: Database, tools: Tools, clock: Clock, down: httpx.Response | Exception
) -> None:
    await put(db, tools, "x")
    worker = Worker(db, tools, {}, clock)
    with respx.mock(base_url=SMS, assert_all_called=False) as sms:
        answer = {"side_effect": down} if isinstance(down, Exception) else {"return_value": down}
        route = sms.post("/messages").mock(**answer)  # type: ignore[arg-type]
        sms.post("/outcome").mock(**answer)  # type: ignore[arg-type]
        await worker.deliver_due()
        row = (await db.fetch(ROWS))[0]
        route.mock(side_effect=None, return_value=httpx.Response(200, json={"taken": True}))
        clock.now = row["due_at"] - 1
        too_early = await worker.deliver_due()
        clock.now = row["due_at"]
        in_time = await worker.deliver_due()

    assert START < row["due_at"] <= START + 2 * SECOND
    assert row["failure"]
    assert (too_early, in_time) == (0, 1)
    settled = (await db.fetch(ROWS))[0]
    assert (settled["settled_at"], settled["failure"]) == (clock.now, None)


async def test_waits_longer_each_time_up_to_five_minutes(
    db: Database, tools: Tools, clock: Clock
) -> None:
    await put(db, tools, "x")
    waits = []
    with respx.mock(base_url=SMS) as sms:
        sms.post("/messages").mock(side_effect=httpx.ConnectError("no"))
        for _ in range(12):
            await Worker(db, tools, {}, clock).deliver_due()
            due_at = (await db.fetch(ROWS))[0]["due_at"]
            waits.append(due_at - clock.now)
            clock.now = due_at

    assert waits[0] <= 2 * SECOND
    assert all(150 * SECOND <= wait <= 300 * SECOND for wait in waits[8:])


async def test_what_a_partner_will_never_take_is_parked(
    db: Database, tools: Tools, clock: Clock
) -> None:
    await put(db, tools, "first")
    await put(db, tools, "second")
    with respx.mock(base_url=SMS) as sms:
        route = sms.post("/messages").mock(
            side_effect=[
                httpx.Response(422, json={"code": "NO_SUCH_TEMPLATE"}),
                httpx.Response(200, json={"taken": True}),
            ]
        )
        await Worker(db, tools, {}, clock).deliver_due()
        clock.now += DAY // 2
        await Worker(db, tools, {}, clock).deliver_due()

    parked, next_one = await db.fetch(ROWS)
    assert route.call_count == 2
    assert parked["parked_at"] == START
    assert parked["failure"] == "rejected: NO_SUCH_TEMPLATE"
    assert parked["payload"] is not None
    assert next_one["settled_at"] == START


async def test_what_is_too_late_is_parked_and_not_sent(
    db: Database, tools: Tools, clock: Clock
) -> None:
    await put(db, tools, "x", lasts=300 * SECOND)
    clock.now = START + 300 * SECOND
    with respx.mock(base_url=SMS, assert_all_called=False) as sms:
        route = sms.post("/messages").respond(json={"taken": True})
        await Worker(db, tools, {}, clock).deliver_due()

    assert route.call_count == 0
    assert (await db.fetch(ROWS))[0]["failure"] == "expired"


async def test_a_payload_is_sealed_and_bound_to_its_row(db: Database, tools: Tools) -> None:
    await put(db, tools, "您的社会保障卡已制好")

    row = (await db.fetch(ROWS))[0]

    assert b"19900001001" not in bytes(row["payload"])
    with pytest.raises(CannotOpen):
        tools.vault.open(bytes(row["payload"]), "outbox.payload", row["id"] + 1)
