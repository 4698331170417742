"""取消申请 cancel application, through HTTP."""

from typing import Any

import pytest

from tests.front_end import FrontEnd, World
from tests.services.orders import (
    CHANNELS,
    ROWS,
    apply,
    cancel_loss,
    fail_issuer,
    progress,
    reissue,
)
from tests.services.parts import application_of, english, fault, history, later, notices, person_id

_PATH = "/orders/cancellations"


@pytest.mark.parametrize("channel", CHANNELS)
async def test_cancels_an_application_after_which_one_can_apply_again(
    world: World, channel: str
) -> None:
    citizen = await world.enter("no-card", channel)
    first = await apply(world, citizen)

    answer = await _cancel(citizen, first)
    told = await notices(citizen)
    closed = await progress(citizen)

    assert answer["__typename"] == "ApplicationCancelled"
    assert answer["progress"] == {"pendingChange": "CANCELLATION", "possibleChanges": []}
    assert (closed["pendingChange"], closed["possibleChanges"]) == (None, [])
    assert closed["closed"] == {
        "reason": "WITHDRAWN",
        "reasonName": "本人取消申请",
        "message": "申请已关闭（本人取消申请）。没有卡的可申办，原卡已挂失的可解挂或补卡。",
    }
    assert told[0] == (
        "【成都人社】您的社会保障卡申请已关闭。没有卡的可申办，原卡已挂失的可解挂或补卡。"
        "如非本人操作，请拨打 028-12333。"
    )
    assert (await history(world, citizen.person))[-2:] == [
        "CANCEL_APPLICATION",
        "APPLICATION_CLOSED WITHDRAWN",
    ]
    with later(minutes=2):
        second = await apply(world, citizen)
        await world.make_card("no-card")
        assert second != first
        assert (await citizen.status())["state"] == "SEALED"


async def test_after_a_cancelled_reissue_the_old_card_can_be_restored(world: World) -> None:
    citizen = await world.enter("lost")
    number = await reissue(world, citizen)

    await _cancel(citizen, number)
    await progress(citizen)

    assert (await cancel_loss(citizen))["card"] == {"state": "ACTIVE"}


async def test_refuses_once_manufacture_has_begun(world: World) -> None:
    citizen = await world.enter("in-production")
    number = str(citizen.person.open_order)
    before = await world.rows(*ROWS)

    answer = await _cancel(citizen, number)
    with english(citizen):
        in_english = await _cancel(citizen, number)

    assert fault(answer) == ("MANUFACTURE_BEGUN", None)
    assert answer["message"] == (
        "已开始制卡，不能再取消申请；制好后请到网点领取。可拨打 028-12333 咨询。"
    )
    assert in_english["message"].startswith("The card is already being made")
    assert "CANCELLATION" not in (await progress(citizen))["possibleChanges"]
    assert await world.rows(*ROWS) == before


async def test_refuses_somebody_elses_application_like_an_unknown_one(world: World) -> None:
    citizen, other = await world.enter("no-card"), await world.enter("in-production")
    number = await apply(world, citizen)
    before = await world.rows(*ROWS)

    answers = [await _cancel(other, number), await _cancel(other, "SBK200001010000000000")]

    expected = ("NO_SUCH_APPLICATION", "applicationNumber")
    assert [fault(answer) for answer in answers] == [expected, expected]
    assert answers[0]["message"] == answers[1]["message"]
    assert await world.rows(*ROWS) == before


async def test_refuses_another_change_until_the_issuer_has_answered(world: World) -> None:
    citizen = await world.enter("no-card")
    number = await apply(world, citizen)
    await fail_issuer(world, _PATH, "BUSY")
    await _cancel(citizen, number)
    before = await world.rows(*ROWS[:-2])

    again = await _cancel(citizen, number)
    applied = await citizen.do("applyCard", **application_of(citizen.person))

    assert (fault(again), again["retryAfter"]) == (("APPLICATION_BEING_CHANGED", None), 60)
    assert again["message"] == (
        "您提交的「取消申请」正在由制卡中心确认，请 1 分钟后再试，结果将短信告知。"
    )
    assert fault(applied) == ("APPLICATION_OPEN", None)
    assert await world.rows(*ROWS[:-2]) == before


async def test_an_application_that_the_issuer_will_not_end_stays_as_it_was(world: World) -> None:
    """Manufacture has begun there, and the report of it has not come yet."""
    citizen = await world.enter("no-card")
    number = await apply(world, citizen)
    await fail_issuer(world, _PATH, "REJECTED")

    await _cancel(citizen, number)
    told = await notices(citizen)
    now = await progress(citizen)
    await world.make_card("no-card")

    assert (now["pendingChange"], now["closed"]) == (None, None)
    assert told[0].startswith(
        "【成都人社】您对社会保障卡申请提交的变更未获制卡中心受理，原申请不变。"
    )
    assert "CHANGE_REFUSED SAMPLE_REJECTION" in await history(world, citizen.person)
    assert (await citizen.status())["state"] == "SEALED"


async def test_an_answer_that_was_lost_is_asked_for(world: World) -> None:
    citizen = await world.enter("no-card")
    number = await apply(world, citizen)
    await fail_issuer(world, _PATH, "LOST_ANSWER", times=1)
    await _cancel(citizen, number)
    unknown = await progress(citizen)

    with later(minutes=6):
        await world.application.worker.deliver_due()
        await citizen.sign_in()
        known = await progress(citizen)

    assert (unknown["pendingChange"], unknown["closed"]) == ("CANCELLATION", None)
    assert (known["pendingChange"], known["closed"]["reason"]) == (None, "WITHDRAWN")


async def test_refuses_what_is_closed_already(world: World) -> None:
    citizen = await world.enter("no-card")
    number = await apply(world, citizen)
    await _cancel(citizen, number)
    await progress(citizen)
    before = await world.rows(*ROWS)

    answer = await _cancel(citizen, number)

    assert fault(answer) == ("APPLICATION_CLOSED", None)
    assert await world.rows(*ROWS) == before


async def test_the_issuer_makes_nothing_of_what_was_cancelled(world: World) -> None:
    citizen = await world.enter("no-card")
    number = await apply(world, citizen)
    await _cancel(citizen, number)
    await progress(citizen)

    response = await world.http.post("/sandbox/issuer/advance", json={"persona": "no-card"})

    assert response.status_code == 409
    owner = await person_id(world, citizen.person)
    rows = (await world.rows("cards"))["cards"]
    assert [row for row in rows if row.subject_id == owner] == []


async def _cancel(citizen: FrontEnd, number: str) -> dict[str, Any]:
    return await citizen.do(
        "cancelApplication",
        "progress { pendingChange possibleChanges }",
        applicationNumber=number,
    )
