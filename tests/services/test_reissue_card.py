"""补卡 reissue, through HTTP."""

from typing import Any

import pytest

from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.parts import (
    OUTLET_OF_OTHER_BANKS,
    OUTLET_OF_OTHER_DISTRICT,
    english,
    fault,
    history,
    later,
    notices,
    other_than,
    person_id,
    problems,
    reissue_of,
)


@pytest.fixture
async def loser(world: World) -> FrontEnd:
    return await world.enter("lost")


async def test_orders_a_new_card_of_the_same_bank(world: World, loser: FrontEnd) -> None:
    answer = await _reissue(loser, code=await loser.code("REISSUE_CARD"))

    progress = await loser.progress()
    assert answer == {
        "__typename": "CardReissued",
        "applicationNumber": progress["applicationNumber"],
        "feeFen": 0,
        "progress": {"bank": "中国农业银行", "cardNumber": None},
    }
    assert [node["result"] for node in progress["nodes"]] == ["IN_PROGRESS"] + ["PENDING"] * 5
    assert (await loser.status())["state"] == "LOST"
    assert (await history(world, loser.person))[-1] == "REISSUE_CARD"
    assert (await notices(loser))[0].startswith("【成都人社】您的社会保障卡申请已受理")


async def test_the_new_card_takes_the_place_of_the_lost_one(world: World, loser: FrontEnd) -> None:
    await _reissue(loser, code=await loser.code("REISSUE_CARD"))

    await world.make_card("lost")

    shown = await loser.status()
    assert (shown["state"], shown["bank"]) == ("SEALED", "中国农业银行")
    assert shown["cardNumber"] != loser.person.card_number
    assert (await notices(loser))[0].startswith("【成都人社】您的社会保障卡已制好")


@pytest.mark.parametrize(
    ("persona", "code", "message"),
    [
        (
            "active",
            "WRONG_CARD_STATE",
            "您的卡当前状态为「正常」，不能办理补卡。如卡遗失或损坏，请先挂失，再补卡。",
        ),
        (
            "temporarily-lost",
            "WRONG_CARD_STATE",
            "您的卡当前状态为「临时挂失」，不能办理补卡。如卡遗失或损坏，请先挂失，再补卡。",
        ),
        (
            "locked",
            "WRONG_CARD_STATE",
            "您的卡当前状态为「应用锁定」，不能办理补卡。如卡遗失或损坏，请先挂失，再补卡。",
        ),
        (
            "cancelled",
            "WRONG_CARD_STATE",
            "您的卡当前状态为「注销」，不能办理补卡。您可以申办社会保障卡；"
            "打开申办表单时，会先核对您在其他地区是否已有卡。",
        ),
        (
            "sealed",
            "APPLICATION_OPEN",
            "您有一笔申请正在办理。卡已制成，领取后请激活。",
        ),
        (
            "no-card",
            "NO_CARD",
            "没有查到您在成都的社会保障卡。您可以申办社会保障卡；"
            "打开申办表单时，会先核对您在其他地区是否已有卡。",
        ),
    ],
)
async def test_refuses_a_card_that_was_not_reported_lost(
    world: World, persona: str, code: str, message: str
) -> None:
    citizen = await world.enter(persona)
    before = await world.rows()

    answer = await _reissue(citizen)

    assert (fault(answer), answer["message"]) == ((code, None), message)
    assert await world.rows() == before


async def test_refuses_a_second_reissue(world: World, loser: FrontEnd) -> None:
    code = await loser.code("REISSUE_CARD")
    await _reissue(loser, code=code)
    await world.application.worker.drained()
    before = await world.rows()

    answer = await _reissue(loser, code=code)

    assert fault(answer) == ("APPLICATION_OPEN", None)
    assert await world.rows() == before


async def test_replaces_a_new_card_that_was_lost_before_its_activation(
    world: World, loser: FrontEnd
) -> None:
    """Its application ends with the new one; activation cancels every card that was lost."""
    await _reissue(loser, code=await loser.code("REISSUE_CARD"))
    await world.make_card("lost")
    first = (await loser.progress())["cardNumber"]
    phone = loser.person.phone
    await loser.do("reportLoss", phone=phone, code=await loser.code("REPORT_LOSS"))

    with later(minutes=2):
        again = await _reissue(loser, code=await loser.code("REISSUE_CARD"))
        await world.make_card("lost")
        second = (await loser.progress())["cardNumber"]
        code = await loser.code("ACTIVATE_CARD")
        await loser.do("activateCard", phone=phone, cardNumber=second, code=code)

    assert (first != second, again["__typename"]) == (True, "CardReissued")
    assert (await loser.status())["state"] == "ACTIVE"
    owner = await person_id(world, loser.person)
    rows = await world.rows("cards", "applications")
    assert sorted(row.state for row in rows["cards"] if row.subject_id == owner) == ["1", "9", "9"]
    own = [row for row in rows["applications"] if row.subject_id == owner]
    assert [row.closed_at for row in own if row.closed_at is None] == []


_WRONG_FIELDS: list[tuple[dict[str, str], list[tuple[str, str]]]] = [
    ({"districtCode": "510100"}, [("districtCode", "UNKNOWN_CODE")]),
    ({"districtCode": ""}, [("districtCode", "REQUIRED")]),
    ({"outletCode": ""}, [("outletCode", "REQUIRED")]),
    ({"outletCode": "SAMPLE-9"}, [("outletCode", "UNKNOWN_CODE")]),
    ({"outletCode": OUTLET_OF_OTHER_DISTRICT}, [("outletCode", "OUTLET_NOT_IN_DISTRICT")]),
    ({"outletCode": OUTLET_OF_OTHER_BANKS}, [("outletCode", "OUTLET_DOES_NOT_SERVE_BANK")]),
    ({"phone": PERSONAS["active"].phone}, [("phone", "PHONE_NOT_BOUND")]),
    ({"phone": "1"}, [("phone", "INVALID_FORMAT")]),
    ({"code": "1"}, [("code", "INVALID_FORMAT")]),
    (
        {
            "districtCode": "510105",
            "phone": PERSONAS["active"].phone,
            "code": "",
        },
        [
            ("code", "REQUIRED"),
            ("outletCode", "OUTLET_NOT_IN_DISTRICT"),
            ("phone", "PHONE_NOT_BOUND"),
        ],
    ),
]


async def test_refuses_wrong_fields(world: World, loser: FrontEnd) -> None:
    before = await world.rows()

    answers = [await _reissue(loser, **changes) for changes, _ in _WRONG_FIELDS]

    assert [problems(answer) for answer in answers] == [expected for _, expected in _WRONG_FIELDS]
    assert await world.rows() == before


async def test_a_mistake_in_the_form_costs_no_code(world: World, loser: FrontEnd) -> None:
    code = await loser.code("REISSUE_CARD")
    with english(loser):
        for _ in range(6):
            refused = await _reissue(loser, outletCode=OUTLET_OF_OTHER_DISTRICT, code=code)
            assert refused["message"] == (
                "The outlet is not in the chosen district; please choose another."
            )

    assert (await _reissue(loser, code=code))["__typename"] == "CardReissued"


async def test_refuses_a_wrong_code(world: World, loser: FrontEnd) -> None:
    code = await loser.code("REISSUE_CARD")
    before = await world.rows()

    answer = await _reissue(loser, code=other_than(code))

    assert fault(answer) == ("CODE_WRONG", "code")
    assert await world.rows() == before


async def _reissue(citizen: FrontEnd, **changes: str) -> dict[str, Any]:
    return await citizen.do(
        "reissueCard",
        "applicationNumber feeFen progress { bank cardNumber }",
        **reissue_of(citizen.person, **changes),
    )
