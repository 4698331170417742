"""更改领卡网点 change pickup outlet, through HTTP."""

from typing import Any

import pytest

from tests.front_end import FrontEnd, World
from tests.services.orders import CHANNELS, ROWS, fail_issuer, progress
from tests.services.parts import (
    OUTLET_OF_OTHER_BANKS,
    OUTLET_OF_OTHER_DISTRICT,
    fault,
    history,
    notices,
    person_id,
    problems,
)


@pytest.mark.parametrize("channel", CHANNELS)
async def test_sends_the_card_to_another_outlet(world: World, channel: str) -> None:
    citizen = await world.enter("in-production", channel)

    answer = await _change(citizen, districtCode="510105", outletCode=OUTLET_OF_OTHER_DISTRICT)
    told = await notices(citizen)
    now = await progress(citizen)

    assert answer["__typename"] == "PickupOutletChanged"
    assert answer["progress"] == {"pendingChange": "PICKUP_OUTLET"}
    assert now["pendingChange"] is None
    assert await _outlet(world, citizen) == OUTLET_OF_OTHER_DISTRICT
    assert told[0].startswith("【成都人社】您的社会保障卡领卡网点已更改。")
    assert (await history(world, citizen.person))[-1] == "CHANGE_PICKUP_OUTLET"
    await world.make_card("in-production")
    assert (await citizen.status())["state"] == "SEALED"


async def test_refuses_once_the_card_is_on_its_way(world: World) -> None:
    citizen = await world.enter("in-production")
    for _ in ("MANUFACTURE", "KEY_LOADING"):
        await world.advance("in-production")
    before = await world.rows(*ROWS)

    answer = await _change(citizen)

    assert fault(answer) == ("CARD_BEING_TRANSFERRED", None)
    assert (await progress(citizen))["possibleChanges"] == []
    assert await world.rows(*ROWS) == before


_WRONG: list[tuple[dict[str, str], list[tuple[str, str]]]] = [
    ({"districtCode": ""}, [("districtCode", "REQUIRED")]),
    ({"districtCode": "510100"}, [("districtCode", "UNKNOWN_CODE")]),
    ({"outletCode": ""}, [("outletCode", "REQUIRED")]),
    ({"outletCode": OUTLET_OF_OTHER_DISTRICT}, [("outletCode", "OUTLET_NOT_IN_DISTRICT")]),
    ({"outletCode": "SAMPLE-9"}, [("outletCode", "UNKNOWN_CODE")]),
    ({"applicationNumber": "SBK1"}, [("applicationNumber", "NO_SUCH_APPLICATION")]),
]


async def test_refuses_wrong_fields(world: World) -> None:
    citizen = await world.enter("in-production")
    before = await world.rows(*ROWS)

    answers = [await _change(citizen, **changes) for changes, _ in _WRONG]

    assert [problems(answer) for answer in answers] == [expected for _, expected in _WRONG]
    assert await world.rows(*ROWS) == before


async def test_refuses_an_outlet_that_does_not_serve_the_cards_bank(world: World) -> None:
    citizen = await world.enter("lost")
    form = {"districtCode": "510104", "outletCode": "SAMPLE-510104-1"}
    number = (
        await citizen.do(
            "reissueCard",
            "applicationNumber",
            pickupMethod="OUTLET",
            phone=citizen.person.phone,
            code=await citizen.code("REISSUE_CARD"),
            **form,
        )
    )["applicationNumber"]
    await world.application.worker.drained()
    before = await world.rows(*ROWS)

    answer = await _change(citizen, applicationNumber=number, outletCode=OUTLET_OF_OTHER_BANKS)

    assert problems(answer) == [("outletCode", "OUTLET_DOES_NOT_SERVE_BANK")]
    assert "不能更换银行，请改选：" in answer["message"]
    assert await world.rows(*ROWS) == before


async def test_refuses_the_outlet_that_it_is_already(world: World) -> None:
    citizen = await world.enter("in-production")
    before = await world.rows(*ROWS)

    answer = await _change(citizen, outletCode="SAMPLE-510104-1")

    assert fault(answer) == ("PICKUP_OUTLET_UNCHANGED", "outletCode")
    assert await world.rows(*ROWS) == before


async def test_an_outlet_that_the_issuer_rejects_is_not_changed(world: World) -> None:
    citizen = await world.enter("in-production")
    before = await _outlet(world, citizen)
    await fail_issuer(world, "/orders/outlets", "REJECTED")

    await _change(citizen, districtCode="510105", outletCode=OUTLET_OF_OTHER_DISTRICT)
    told = await notices(citizen)

    assert (await progress(citizen))["pendingChange"] is None
    assert await _outlet(world, citizen) == before
    assert told[0].startswith("【成都人社】您对社会保障卡申请提交的变更未获制卡中心受理")


async def _outlet(world: World, citizen: FrontEnd) -> str:
    owner = await person_id(world, citizen.person)
    rows = (await world.rows("production_orders"))["production_orders"]
    return str(next(row.outlet_code for row in rows if row.subject_id == owner))


async def _change(citizen: FrontEnd, **changes: str) -> dict[str, Any]:
    given = {
        "applicationNumber": citizen.person.open_order or "",
        "districtCode": "510104",
        "outletCode": "SAMPLE-510104-1",
    }
    return await citizen.do("changePickupOutlet", "progress { pendingChange }", **(given | changes))
