"""What was looked at: noted at once, written in batches, never lost quietly."""

import asyncio
import re
import time
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text

from bench.access_log import Bench, cpu_per_look
from core.audit import ACTIONS, Action, writer
from core.db import Query, Transaction
from core.kernel.callers import Caller, ChannelId, RealNameLevel
from gateway.schema import build_schema
from tests.architecture.test_statements import counted
from tests.core.test_audit import found
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import keep_pictures

pytestmark = pytest.mark.usefixtures("since_seeding")

VIEWING = {
    "viewer": "{ viewer { bound } }",
    "sessions": "{ sessions { id } }",
    "cardStatus": "{ cardStatus { __typename } }",
    "productionProgress": "{ productionProgress { __typename } }",
    "applicationForm": "{ applicationForm { __typename } }",
    "insurances": '{ insurances(cardNumber: "SAMPLE079") { __typename } }',
    "receipt": "{ receipt { __typename } }",
    "notificationSettings": "{ notificationSettings { __typename } }",
    "notices": "{ notices { edges { cursor } } }",
    "serviceHistory": "{ serviceHistory { edges { cursor } } }",
}
PUBLIC = {"channels", "channel", "outlets", "districts", "banks", "serviceForm", "verifyReceipt"}


async def views(world: World) -> list[tuple[str, str]]:
    """What was viewed and with which result, in the order of time."""
    rows = (await world.rows("access_log"))["access_log"]
    assert all(ACTIONS[row.action].is_access for row in rows)
    rows.sort(key=lambda row: (row.at, row.batch, row.position))
    return [(row.action, row.result) for row in rows]


async def settled(world: World, count: int) -> list[tuple[str, str]]:
    """Within a second, as the log promises."""
    deadline = time.monotonic() + 1
    while len(seen := await views(world)) < count and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return seen


def test_every_query_is_viewed_or_public() -> None:
    fields = build_schema()._schema.query_type.fields  # type: ignore[union-attr]

    assert set(fields) == set(VIEWING) | PUBLIC


async def test_every_sensitive_read_is_in_the_log_within_a_second(
    world: World, active: FrontEnd
) -> None:
    for document in VIEWING.values():
        await active.ask(document)

    seen = await settled(world, len(VIEWING))

    names = [re.sub("([A-Z])", r"_\1", field).upper() for field in VIEWING]
    assert [action for action, _ in seen] == names
    assert await found(world) == []


async def test_a_refused_read_says_so(world: World) -> None:
    citizen = await world.enter("no-card")

    await citizen.ask("{ cardStatus { __typename } }")

    assert await settled(world, 1) == [("CARD_STATUS", "NO_CARD")]


async def test_a_picture_seen_by_its_link_is_in_its_owners_log(
    world: World,
) -> None:
    applicant = await world.enter("no-card")
    await keep_pictures(world, applicant)
    form = await applicant.ask(
        f"{{ applicationForm {{ ... on ApplicationForm {{ portrait {{ url }} }} {REFUSAL} }} }}"
    )

    response = await world.http.get(form["portrait"]["url"])

    assert response.status_code == 200
    assert ("PICTURE", "DONE") in await settled(world, 2)


async def test_each_of_many_reads_has_its_entry(world: World, active: FrontEnd) -> None:
    other = await world.enter("lost")

    await asyncio.gather(
        *(active.ask(VIEWING["cardStatus"]) for _ in range(40)),
        *(other.ask(VIEWING["viewer"]) for _ in range(30)),
    )

    seen = Counter(action for action, _ in await settled(world, 70))
    assert seen == {"CARD_STATUS": 40, "VIEWER": 30}
    assert await found(world) == []


async def test_a_read_costs_no_write_of_its_own(world: World, active: FrontEnd) -> None:
    """The request's own statements are reads; a hundred of them share the writer's commit."""
    await active.inbox()

    async with counted(world.application.database) as statements:
        await asyncio.gather(*(active.ask(VIEWING["cardStatus"]) for _ in range(100)))
        await settled(world, 100)

    batches = [sql for sql in statements if "audit_heads" in sql and "SELECT" in sql]
    assert len(await views(world)) == 100
    assert len(batches) <= 5, batches


async def test_noting_takes_microseconds(world: World, active: FrontEnd) -> None:
    writer, caller = world.application.access_log, await _caller(world, active)
    took = []

    for _ in range(10):
        began = time.thread_time()
        for _ in range(1_000):
            writer.record(caller, 1, Action.CARD_STATUS)
        took.append((time.thread_time() - began) / 1_000)
        writer._waiting.clear()

    assert min(took) < 20e-6


async def test_a_look_costs_little_more_than_its_row(world: World) -> None:
    """Recorded, vouched for and written, beside such rows inserted alone; of 500 people each."""
    database = world.application.database
    await world.application.access_log.stop()
    bench = Bench(database, [])
    rounds = []
    for number in range(8):
        people = [
            Caller(ChannelId.WECHAT, one + 1, one, b"", RealNameLevel.BOUND)
            for one in range(10**15 + number, 10**15 + number + 500 * 8, 8)
        ]
        rounds.append([await cpu_per_look(work, people) for work in (bench.recorded, bench.alone)])

    looks, alone = [min(each) for each in zip(*rounds, strict=True)]
    assert looks < 3 * alone


async def test_what_waits_is_written_at_the_stop(world: World, active: FrontEnd) -> None:
    await active.ask(VIEWING["cardStatus"])
    await active.ask(VIEWING["viewer"])

    await world.application.access_log.stop()

    assert {action for action, _ in await views(world)} == {"CARD_STATUS", "VIEWER"}


async def test_what_cannot_be_written_waits_and_at_last_refuses_to_be_read(
    world: World, active: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is gone for a while: nobody sees anything that the log would not know of."""
    monkeypatch.setattr(writer, "MAX_WAITING", 3)
    monkeypatch.setattr(writer, "AGAIN_SECONDS", 0)
    await change(world, "ALTER TABLE access_log RENAME TO away")

    answers = [await active.ask(STATUS) for _ in range(6)]
    await world.application.access_log.flush()

    assert [answer["__typename"] for answer in answers] == ["CardStatus"] * 3 + ["Refusal"] * 3
    assert answers[-1]["code"] == "TRY_AGAIN_LATER"
    await change(world, "ALTER TABLE away RENAME TO access_log")
    assert await settled(world, 3) == [("CARD_STATUS", "DONE")] * 3
    assert (await active.ask(STATUS))["__typename"] == "CardStatus"


STATUS = f"{{ cardStatus {{ __typename {REFUSAL} }} }}"


async def change(world: World, sql: str) -> None:
    async def job(transaction: Transaction) -> None:
        await transaction.fetch(Query(text(sql)))

    await world.application.database.write(job)


async def _caller(world: World, citizen: FrontEnd) -> Any:
    from core.citizens.sessions import find_caller

    token = citizen.headers["Authorization"].removeprefix("Bearer ")
    application = world.application
    return await find_caller(
        application.database, application.dependencies.vault, token, application.clock(), ""
    )
