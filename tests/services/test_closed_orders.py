"""Orders that end without a card, deaths, and activations at an outlet, as the card issuer reports them."""

from typing import Any

import pytest

from core.production import CloseReason
from core.services.close_order import CloseOrder, close_order
from core.services.correct_death import CorrectDeath, correct_death
from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.orders import CHANNELS, apply, cancel_loss, progress, reissue
from tests.services.parts import fault, history, later, notices, person_id
from tests.services.test_issuer_events import card_event, event, node_result, open_events, outcomes
from tests.units import change

_REASONS = ["CANNOT_BE_MADE", "EMIGRATED", "RELATION_ENDED", "NOT_COLLECTED", "REPLACED"]
_OF_PERSON = ("citizens", "bindings", "claims", "cards", "applications")
_ORDER = str(PERSONAS["in-production"].open_order)


@pytest.mark.parametrize("channel", CHANNELS)
async def test_after_an_order_was_closed_one_can_apply_again(world: World, channel: str) -> None:
    citizen = await world.enter("in-production", channel)

    await world.advance("in-production", event="ORDER_CLOSED", reason="CANNOT_BE_MADE")
    closed = (await progress(citizen))["closed"]
    told = await notices(citizen)

    assert (closed["reason"], closed["reasonName"]) == ("CANNOT_BE_MADE", "无法制卡")
    assert told[0].startswith("【成都人社】您的社会保障卡申请已关闭。没有卡的可申办")
    assert (await history(world, citizen.person))[-1] == "ISSUER_EVENT ORDER_CLOSED"
    await apply(world, citizen)
    await world.make_card("in-production")
    assert (await citizen.status())["state"] == "SEALED"


@pytest.mark.parametrize("reason", _REASONS)
async def test_after_a_reissue_was_closed_the_old_card_can_be_restored(
    world: World, reason: str
) -> None:
    citizen = await world.enter("lost")
    await reissue(world, citizen)

    await world.advance("lost", event="ORDER_CLOSED", reason=reason)

    assert (await progress(citizen))["closed"]["reason"] == reason
    assert (await cancel_loss(citizen))["card"] == {"state": "ACTIVE"}


async def test_what_failed_says_nothing_of_going_on_once_the_order_is_closed(world: World) -> None:
    citizen = await world.enter("in-production")
    await world.advance("in-production", result="FAILED", reason="照片模糊")

    await world.advance("in-production", event="ORDER_CLOSED", reason="CANNOT_BE_MADE")

    assert (await progress(citizen))["nodes"][2]["message"] == (
        "「卡商制卡」未通过：照片模糊。申请已关闭（无法制卡）。没有卡的可申办，"
        "原卡已挂失的可解挂或补卡。如需帮助请拨打 028-12333。"
    )


@pytest.mark.parametrize("first", ["closed", "made"])
async def test_a_closed_order_makes_no_card_and_a_card_keeps_its_order(
    world: World, first: str
) -> None:
    citizen = await world.enter("in-production")
    made = [node_result(name) for name in ("MANUFACTURE", "KEY_LOADING", "STOCK_TRANSFER")]
    made.append(node_result("READY_FOR_PICKUP", cardNumber="SAMPLE77X"))
    closed = [event("ORDER_CLOSED", orderNumber=_ORDER, reason="CANNOT_BE_MADE")]

    before, after = (closed, made) if first == "closed" else (made, closed)
    taken = await outcomes(world, *before)
    contradicting = await outcomes(world, *after)

    assert set(taken) == {"TAKEN"}
    assert contradicting[-1] == "CONTRADICTION"
    if first == "closed":
        assert fault(await citizen.status()) == ("NO_CARD", None)
    else:
        assert (await citizen.status())["state"] == "SEALED"
        assert (await progress(citizen))["closed"] is None
    assert await open_events(world) != []


async def test_a_closure_that_is_told_twice_is_taken_twice(world: World) -> None:
    reasons = ("CANNOT_BE_MADE", "RELATION_ENDED")
    events = [event("ORDER_CLOSED", orderNumber=_ORDER, reason=reason) for reason in reasons]

    assert [await outcomes(world, each) for each in events] == [["TAKEN"], ["TAKEN"]]
    assert await open_events(world) == []


async def test_a_card_that_nobody_collected_ends_its_application(world: World) -> None:
    citizen = await world.enter("sealed")

    await world.advance("sealed", event="CANCEL", reason="NOT_COLLECTED")

    assert (await progress(citizen))["closed"]["reason"] == "NOT_COLLECTED"
    assert (await citizen.status())["state"] == "CANCELLED"
    await apply(world, citizen)


async def test_a_new_card_that_is_cancelled_while_lost_ends_its_application(world: World) -> None:
    """The control of `new_card_id`: the snapshot is the loss, not the sealed card."""
    citizen = await world.enter("sealed")
    await citizen.do(
        "reportLoss", phone=citizen.person.phone, code=await citizen.code("REPORT_LOSS")
    )

    await world.advance("sealed", event="CANCEL")

    await apply(world, citizen)
    assert (await progress(citizen))["closed"] is None


async def test_a_card_can_be_activated_at_an_outlet(world: World) -> None:
    citizen = await world.enter("lost")
    await reissue(world, citizen)
    await world.make_card("lost")

    await world.advance("lost", event="ACTIVATE")

    assert (await citizen.status())["state"] == "ACTIVE"
    owner = await person_id(world, citizen.person)
    rows = await world.rows("cards", "applications")
    assert sorted(row.state for row in rows["cards"] if row.subject_id == owner) == ["1", "9"]
    own = [row for row in rows["applications"] if row.subject_id == owner]
    assert [row.number for row in own if row.closed_at is None] == []
    assert (await history(world, citizen.person))[-2:] == [
        "ISSUER_EVENT ACTIVATE",
        "CARD_CANCELLED",
    ]


async def test_an_activation_while_lost_is_remembered(world: World) -> None:
    citizen = await world.enter("sealed")
    await citizen.do(
        "reportLoss", phone=citizen.person.phone, code=await citizen.code("REPORT_LOSS")
    )

    await world.advance("sealed", event="ACTIVATE")

    assert (await citizen.status())["state"] == "LOST"
    assert (await cancel_loss(citizen))["card"] == {"state": "ACTIVE"}


# --- a death -------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", CHANNELS)
async def test_a_death_ends_everything(world: World, channel: str) -> None:
    citizen = await world.enter("active", channel)
    elsewhere = await world.enter("active", "PING_AN" if channel == "WECHAT" else "WECHAT")

    await world.advance("active", event="CANCEL", reason="DECEASED")
    told = await notices(citizen)

    assert told[0] == (
        "【成都人社】您的社会保障卡登记状态已变更，在线服务已停止。如有疑问，请本人持身份证到社保经办"
        "窗口核对。如非本人操作，请拨打 028-12333。"
    )
    for ended in (citizen, elsewhere):
        reply = (await ended.post("{ cardStatus { __typename } }")).json()
        assert reply["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    owner = await person_id(world, citizen.person)
    rows = await world.rows("sessions", "bindings")
    for table in rows.values():
        assert [row for row in table if row.subject_id == owner and row.ended_at is None] == []
    assert "DEATH_RECORDED" in await history(world, citizen.person)
    with later(minutes=2):
        before = await world.rows(*_OF_PERSON)
        refused = await _enter_again(world, channel)
        assert fault(refused) == ("CITIZEN_DECEASED", None)
        assert "请本人持身份证到社保经办窗口更正" in refused["message"]
        assert await world.rows(*_OF_PERSON) == before


async def test_a_death_ends_what_is_in_production(world: World) -> None:
    await world.enter("lost")
    citizen = await world.enter("lost")
    await reissue(world, citizen)

    await world.advance("lost", event="CANCEL", reason="DECEASED")
    await world.application.worker.drained()

    owner = await person_id(world, citizen.person)
    rows = await world.rows("production_orders", "applications")
    assert "DECEASED" in [
        row.close_reason for row in rows["production_orders"] if row.subject_id == owner
    ]
    assert None not in [row.closed_at for row in rows["applications"] if row.subject_id == owner]
    response = await world.http.post("/sandbox/issuer/advance", json={"persona": "lost"})
    assert response.status_code == 409


async def test_a_death_is_recorded_though_the_card_was_cancelled_before(world: World) -> None:
    citizen = await world.enter("cancelled")

    assert await outcomes(world, card_event("CANCEL", "cancelled")) == ["CONTRADICTION"]
    assert await outcomes(world, card_event("CANCEL", "cancelled", reason="DECEASED")) == ["TAKEN"]

    assert "DEATH_RECORDED" in await history(world, citizen.person)


async def test_a_wrong_record_of_a_death_is_corrected_at_a_desk(world: World) -> None:
    await world.enter("active")
    await world.advance("active", event="CANCEL", reason="DECEASED")
    number = PERSONAS["active"].social_security_number

    corrected = [
        await change(world, lambda unit: correct_death(unit, CorrectDeath(number, "柜员一")))
        for _ in "12"
    ]

    assert corrected == [True, False]
    citizen = await world.enter("active")
    await apply(world, citizen)
    await world.make_card("active")
    assert (await citizen.status())["state"] == "SEALED"


@pytest.mark.parametrize(
    "facts",
    [
        {"kind": "ORDER_CLOSED", "orderNumber": _ORDER},
        {"kind": "ORDER_CLOSED", "orderNumber": _ORDER, "reason": "RAIN"},
        {"kind": "CANCEL", "cardNumber": "SAMPLE01X", "reason": "WITHDRAWN"},
        {"kind": "NODE_RESULT", "orderNumber": _ORDER, "node": "MANUFACTURE"}
        | {"result": "NEEDS_CORRECTION"},
        {"kind": "NODE_RESULT", "orderNumber": _ORDER, "node": "MANUFACTURE"}
        | {"result": "NEEDS_CORRECTION", "corrections": ["bankCode"]},
    ],
)
async def test_refuses_events_without_a_reason_or_with_another(
    world: World, facts: dict[str, Any]
) -> None:
    before = await world.rows()

    with pytest.raises(AssertionError):
        await outcomes(world, event(**facts))

    assert await world.rows() == before


# --- an operator ---------------------------------------------------------------------------


@pytest.mark.parametrize("persona", ["in-production", "sealed"])
async def test_an_operator_closes_an_order(world: World, persona: str) -> None:
    citizen = await world.enter(persona)
    number = (await citizen.progress())["applicationNumber"]

    await _close(world, number)
    await world.application.worker.drained()

    assert (await progress(citizen))["closed"]["reason"] == "CANNOT_BE_MADE"
    entries = (await world.rows("audit_entries"))["audit_entries"]
    (entry,) = [row for row in entries if row.action == "APPLICATION_CLOSED"]
    assert (entry.channel, entry.result) == ("OPERATOR", "CANNOT_BE_MADE")
    assert '"operator":"柜员一"' in entry.details
    await apply(world, citizen)


async def test_an_operator_closes_no_order_whose_card_is_in_use(world: World) -> None:
    citizen = await world.enter("active")
    number = (await citizen.progress())["applicationNumber"]
    before = await world.rows()

    for unknown in (number, "SBK1"):
        with pytest.raises(Exception, match="APPLICATION"):
            await _close(world, unknown)

    assert await world.rows() == before


async def _close(world: World, number: str) -> None:
    command = CloseOrder(number, CloseReason.CANNOT_BE_MADE, "柜员一")
    await change(world, lambda unit: close_order(unit, command))


async def _enter_again(world: World, channel: str) -> dict[str, Any]:
    citizen: FrontEnd = world.front_end("active", channel)
    if channel != "WECHAT":
        return await citizen.do("signIn", channel=channel, **await citizen.authorize())
    await citizen.sign_in()
    return await citizen.bind(await citizen.code("BIND_CARD"))
