"""What a citizen sees while a partner has not confirmed, and what becomes of it."""

from typing import Any

import pytest
from sqlalchemy import text
from starlette.applications import Starlette

from core.db import Query, Transaction
from core.kernel.clock import SECOND
from core.messaging import outbox
from core.production import ProgressCursor, snapshots
from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.parts import (
    OUTLET_OF_OTHER_BANKS,
    application_of,
    fault,
    history,
    keep_pictures,
    later,
    notices,
    person_id,
    registry_card,
    reissue_of,
    sandbox_world,
)
from tests.sockets import socket

_NUMBER = PERSONAS["other-city"].card_number or ""
_LONGEST_CODE = "R" * 40
_CARD = (
    "{ cardStatus { __typename ... on CardStatus { state homeRegion confirmation confirmationName }"
    " ... on Refusal { code } } }"
)
_PROGRESS = (
    "{ productionProgress { ... on ProductionProgress { confirmation confirmationName"
    " nodes { result message } } } }"
)
_WATCHED = (
    "subscription { productionProgress { cursor confirmation nodes { node result }"
    " changes { node result } } }"
)


async def break_partner(
    world: World, partner: str, path: str, kind: str, times: int = 1, **more: str
) -> None:
    given = {"partner": partner, "path": path, "fault": kind, "times": times, **more}
    response = await world.http.post("/sandbox/partners/fault", json=given)
    assert response.status_code == 200, response.text


async def transfer(citizen: FrontEnd) -> dict[str, Any]:
    return await citizen.do(
        "transferIn",
        "card { state confirmation }",
        cardNumber=_NUMBER,
        insurances=["PENSION"],
        phone=citizen.person.phone,
        code=await citizen.code("TRANSFER_IN"),
    )


async def run(world: World, sql: str) -> None:
    async def job(db: Transaction) -> None:
        await db.fetch(Query(text(sql)))

    await world.application.database.write(job)


async def take_up(world: World, key: tuple[int, int]) -> bool:
    async def job(db: Transaction) -> bool:
        return await outbox.retry(db, *key, world.application.clock())

    return await world.application.database.write(job)


async def deliver(world: World) -> int:
    return await world.application.worker.deliver_due()


@pytest.mark.parametrize("kind", ["ERROR", "GARBAGE", "LOST_ANSWER", "BUSY"])
async def test_a_transfer_is_being_confirmed_until_the_registry_says_so(
    world: World, kind: str
) -> None:
    citizen = await world.enter("other-city")
    await break_partner(world, "card-registry", "/moves", kind)

    answer = await transfer(citizen)
    await citizen.inbox()
    meanwhile = await citizen.ask(_CARD)
    told_early = await notices(citizen)
    with later(seconds=3):
        await deliver(world)
        settled = await citizen.ask(_CARD)

    assert answer["card"] == {"state": "ACTIVE", "confirmation": "BEING_CONFIRMED"}
    assert (meanwhile["confirmation"], meanwhile["confirmationName"]) == (
        "BEING_CONFIRMED",
        "正在确认",
    )
    assert told_early == []
    assert settled == meanwhile | {"confirmation": "CONFIRMED", "confirmationName": "已确认"}
    assert registry_card(world, _NUMBER)["regionCode"] == "510100"
    with later(seconds=4):
        assert "已转入成都" in (await notices(citizen))[0]


async def test_while_the_registry_cannot_say_nothing_is_repeated(world: World) -> None:
    """It has moved the card; its answer is lost, and its `/outcome` is away for two tries."""
    citizen = await world.enter("other-city")
    await break_partner(world, "card-registry", "/moves", "LOST_ANSWER")
    await break_partner(world, "card-registry", "/outcome", "ERROR", times=4)
    await transfer(citizen)
    await citizen.inbox()
    # A second call to /moves would be seen: it would use up this fault, and undo the transfer.
    await break_partner(world, "card-registry", "/moves", "REJECTED")

    seen = []
    for seconds in (3, 8, 20):
        with later(seconds=seconds):
            await deliver(world)
            seen.append((await citizen.ask(_CARD))["confirmation"])

    assert seen == ["BEING_CONFIRMED", "BEING_CONFIRMED", "CONFIRMED"]


async def test_a_refused_transfer_is_taken_back_and_told(world: World) -> None:
    citizen = await world.enter("other-city")
    await break_partner(world, "card-registry", "/moves", "REJECTED")

    await transfer(citizen)
    told = await notices(citizen)

    assert await citizen.ask(_CARD) == {"__typename": "Refusal", "code": "NO_CARD"}
    assert "未获受理" in told[0]
    assert (await history(world, citizen.person))[-2:] == [
        "TRANSFER_IN",
        "TRANSFER_REFUSED SAMPLE_REJECTION",
    ]
    entries = (await world.rows("audit_entries"))["audit_entries"]
    assert [entry[5] for entry in entries if entry[3] == "TRANSFER_REFUSED"] == ["WORKER"]
    assert registry_card(world, _NUMBER)["regionCode"] == "510700"
    with later(seconds=61):
        assert (await transfer(citizen))["__typename"] == "TransferredIn"
        await citizen.inbox()
        assert (await citizen.ask(_CARD))["confirmation"] == "CONFIRMED"


async def test_no_reissue_for_a_card_that_is_being_confirmed(world: World) -> None:
    citizen = await world.enter("other-city")
    await break_partner(world, "card-registry", "/moves", "BUSY", times=5)
    await transfer(citizen)
    await citizen.do(
        "reportLoss", phone=citizen.person.phone, code=await citizen.code("REPORT_LOSS")
    )
    code = await citizen.code("REISSUE_CARD")
    before = await world.rows()

    given = reissue_of(citizen.person, code=code, outletCode=OUTLET_OF_OTHER_BANKS)
    refused = await citizen.do("reissueCard", **given)

    assert fault(refused) == ("CARD_BEING_CONFIRMED", None)
    assert await world.rows() == before
    with later(seconds=3):
        await break_partner(world, "card-registry", "/moves", "LOST_ANSWER")
        await deliver(world)
    with later(seconds=9):
        await deliver(world)
        answer = await citizen.do("reissueCard", **given)
        assert answer["__typename"] == "CardReissued"


async def test_an_order_is_being_confirmed_until_the_issuer_says_so(world: World) -> None:
    citizen = await world.enter("lost")
    await break_partner(world, "issuer", "/orders", "LOST_ANSWER")
    code = await citizen.code("REISSUE_CARD")

    answer = await citizen.do(
        "reissueCard", "progress { confirmation }", **reissue_of(citizen.person, code=code)
    )
    await citizen.inbox()
    meanwhile = await citizen.ask(_PROGRESS)
    with later(seconds=3):
        await deliver(world)
        settled = await citizen.ask(_PROGRESS)

    assert answer["progress"] == {"confirmation": "BEING_CONFIRMED"}
    assert meanwhile["confirmationName"] == "正在确认"
    assert settled["confirmation"] == "CONFIRMED"


@pytest.mark.parametrize("told", [True, False], ids=["told", "found by polling"])
async def test_who_watches_sees_the_order_confirmed(
    world: World, app: Starlette, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No node moves then. Polling finds what another process's worker has settled."""
    citizen = await world.enter("lost")
    await break_partner(world, "issuer", "/orders", "LOST_ANSWER")
    code = await citizen.code("REISSUE_CARD")
    await citizen.do("reissueCard", **reissue_of(citizen.person, code=code))
    await citizen.inbox()
    if not told:
        monkeypatch.setattr(world.application.worker._delivery, "_publish", lambda _: None)

    async with socket(app, **citizen.headers) as line:
        await line.send({"type": "subscribe", "id": "1", "payload": {"query": _WATCHED}})
        meanwhile = (await line.hear())["payload"]["data"]["productionProgress"]
        with later(seconds=3):
            await deliver(world)
        settled = (await line.hear())["payload"]["data"]["productionProgress"]

    assert meanwhile["confirmation"] == "BEING_CONFIRMED"
    assert settled == meanwhile | {"confirmation": "CONFIRMED", "changes": []}


async def test_a_refused_order_closes_the_application_and_is_told(world: World) -> None:
    citizen = await world.enter("no-card")
    await keep_pictures(world, citizen)
    await break_partner(world, "issuer", "/orders", "REJECTED")
    given = application_of(citizen.person, code=await citizen.code("APPLY_CARD"))

    answer = await citizen.do("applyCard", **given)
    told = await notices(citizen)
    shown = await citizen.ask(_PROGRESS)

    assert answer["__typename"] == "CardApplied"
    assert "未获制卡中心受理" in told[0]
    assert shown["confirmation"] == "REJECTED"
    assert shown["nodes"][0]["result"] == "FAILED"
    assert "制卡中心未受理" in shown["nodes"][0]["message"]
    assert (await history(world, citizen.person))[-1] == "ORDER_REFUSED SAMPLE_REJECTION"
    with later(seconds=61):
        again = await citizen.do(
            "applyCard", **(given | {"code": await citizen.code("APPLY_CARD")})
        )
        assert again["__typename"] == "CardApplied"


async def test_the_longest_code_that_a_partner_may_give_undoes_a_transfer(world: World) -> None:
    citizen = await world.enter("other-city")
    await break_partner(world, "card-registry", "/moves", "REJECTED", code=_LONGEST_CODE)

    await transfer(citizen)
    told = await notices(citizen)

    assert await citizen.ask(_CARD) == {"__typename": "Refusal", "code": "NO_CARD"}
    assert "未获受理" in told[0]
    assert (await history(world, citizen.person))[-1] == f"TRANSFER_REFUSED {_LONGEST_CODE}"


async def test_the_longest_code_that_a_partner_may_give_undoes_an_order(world: World) -> None:
    citizen = await world.enter("lost")
    await break_partner(world, "issuer", "/orders", "REJECTED", code=_LONGEST_CODE)
    code = await citizen.code("REISSUE_CARD")

    await citizen.do("reissueCard", **reissue_of(citizen.person, code=code))
    told = await notices(citizen)

    assert (await citizen.ask(_PROGRESS))["confirmation"] == "REJECTED"
    assert "未获制卡中心受理" in told[0]
    assert (await history(world, citizen.person))[-1] == f"ORDER_REFUSED {_LONGEST_CODE}"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_refusal_that_cannot_be_carried_out_is_dead_lettered_for_an_operator(
    world: World,
) -> None:
    citizen = await world.enter("lost")
    await break_partner(world, "issuer", "/orders", "REJECTED")
    code = await citizen.code("REISSUE_CARD")
    await run(
        world,
        "CREATE TRIGGER no_entry BEFORE INSERT ON audit_entries WHEN NEW.action = 'ORDER_REFUSED'"
        " BEGIN SELECT RAISE(ABORT, 'no entry'); END",
    )

    await citizen.do("reissueCard", **reissue_of(citizen.person, code=code))
    await citizen.inbox()
    meanwhile = await citizen.ask(_PROGRESS)
    [message] = await outbox.open_messages(world.application.database, 10)
    await run(world, "DROP TRIGGER no_entry")
    await break_partner(world, "issuer", "/orders", "REJECTED")
    with later(seconds=1):
        assert await take_up(world, message.key) is True
        await deliver(world)
        settled = await citizen.ask(_PROGRESS)

    assert (message.state, message.failure) == ("dead", "unexpected: IntegrityError")
    assert meanwhile["confirmation"] == "BEING_CONFIRMED"
    assert settled["confirmation"] == "REJECTED"


async def test_a_longer_code_is_no_word_of_the_partner(world: World) -> None:
    citizen = await world.enter("other-city")
    await break_partner(world, "card-registry", "/moves", "REJECTED", code=_LONGEST_CODE + "X")

    await transfer(citizen)
    await citizen.inbox()
    meanwhile = await citizen.ask(_CARD)
    with later(seconds=3):
        await deliver(world)
        settled = await citizen.ask(_CARD)

    assert meanwhile["confirmation"] == "BEING_CONFIRMED"
    assert settled["confirmation"] == "CONFIRMED"


async def test_an_order_whose_key_the_issuer_knows_otherwise_is_an_operators_matter(
    world: World,
) -> None:
    """It is no word on the order: undoing it could end an application whose card is being made."""
    citizen = await world.enter("lost")
    await break_partner(world, "issuer", "/orders", "BUSY", times=99)
    code = await citizen.code("REISSUE_CARD")
    await citizen.do("reissueCard", **reissue_of(citizen.person, code=code))
    order = await the_order(world)
    undone = ("applications", "cards", "production_orders", "production_nodes")
    before, told = await world.rows(*undone), await notices(citizen)
    with sandbox_world(world) as things:
        things.put("taken.issuer", order[3], {"digest": "of another order"})
    await break_partner(world, "issuer", "/orders", "BUSY", times=1)

    for minutes in (6, 12):
        with later(minutes=minutes):
            await deliver(world)

    assert "rejected: IDEMPOTENCY_KEY_REUSED" in await the_order(world)
    assert await world.rows(*undone) == before
    assert await notices(citizen) == told


async def the_order(world: World) -> tuple[Any, ...]:
    """The one outbox message that is an order to the card issuer."""
    (found,) = [row for row in (await world.rows("outbox"))["outbox"] if "ISSUER_ORDER" in row]
    return found


async def test_of_two_orders_the_newer_one_is_followed(world: World) -> None:
    citizen = await world.enter("lost")
    code = await citizen.code("REISSUE_CARD")
    await citizen.do("reissueCard", **reissue_of(citizen.person, code=code))
    owner = await person_id(world, citizen.person)
    rows = (await world.rows("production_orders"))["production_orders"]
    orders = sorted(row.id for row in rows if row.subject_id == owner)

    found = await snapshots(world.application.database, [owner])

    assert len(orders) == 2
    assert found[owner].position == ProgressCursor(orders[-1], 0)


async def test_a_refused_reissue_gives_the_loss_back(world: World) -> None:
    citizen = await world.enter("lost")
    await break_partner(world, "issuer", "/orders", "REJECTED")
    code = await citizen.code("REISSUE_CARD")
    await citizen.do("reissueCard", **reissue_of(citizen.person, code=code))
    await citizen.inbox()

    answer = await citizen.do(
        "cancelLoss",
        phone=citizen.person.phone,
        cardNumber=citizen.person.card_number,
        code=await citizen.code("CANCEL_LOSS"),
    )

    assert answer["__typename"] == "LossCancelled"


async def test_what_is_waited_for_is_not_long(world: World) -> None:
    """The first repeat comes within two seconds."""
    citizen = await world.enter("other-city")
    await break_partner(world, "card-registry", "/moves", "ERROR")
    await transfer(citizen)
    await citizen.inbox()

    rows = (await world.rows("outbox"))["outbox"]
    moves = [row for row in rows if row.kind == "REGION_MOVE"]

    assert len(moves) == 1
    now = world.application.clock()
    due_at = moves[0].due_at
    assert now - SECOND < due_at <= now + 2 * SECOND
