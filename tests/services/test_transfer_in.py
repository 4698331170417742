"""卡归属地转入 transfer in and 查询险种 insurances, through HTTP."""

from typing import Any

import pytest

from core.cards import CardState
from sandbox.personas import PERSONAS
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import (
    english,
    fault,
    give_card_elsewhere,
    history,
    notices,
    other_than,
    problems,
    registry_card,
)

_INSURANCES = (
    "query($n: String!) { insurances(cardNumber: $n) { __typename"
    f" ... on Insurances {{ items {{ type name enrolled }} }} {REFUSAL} }} }}"
)


@pytest.fixture
async def mover(world: World) -> FrontEnd:
    """Holds an active card of 绵阳; enrolled in Chengdu in three of five."""
    return await world.enter("other-city")


async def test_shows_the_five_insurances(mover: FrontEnd) -> None:
    answer = await mover.ask(_INSURANCES, n=" sample-079 ")
    with english(mover):
        in_english = await mover.ask(_INSURANCES, n="SAMPLE079")

    assert answer["items"] == [
        {"type": "PENSION", "name": "养老保险", "enrolled": True},
        {"type": "MEDICAL", "name": "医疗保险", "enrolled": True},
        {"type": "UNEMPLOYMENT", "name": "失业保险", "enrolled": True},
        {"type": "WORK_INJURY", "name": "工伤保险", "enrolled": False},
        {"type": "MATERNITY", "name": "生育保险", "enrolled": False},
    ]
    assert in_english["items"][0]["name"] == "Pension"


async def test_moves_the_home_region_of_the_card(world: World, mover: FrontEnd) -> None:
    answer = await _transfer(
        mover,
        cardNumber="sample 079",
        phone=f" {mover.person.phone} ",
        code=f" {await mover.code('TRANSFER_IN')} ",
    )

    assert answer["__typename"] == "TransferredIn"
    assert await mover.status() == {
        "__typename": "CardStatus",
        "name": "罗**",
        "socialSecurityNumber": "510***********153X",
        "cardNumber": "SAMPLE079",
        "issueDate": "2020-07-01",
        "bank": "中国建设银行",
        "bankCode": "SAMPLE-CCB",
        "homeRegion": "成都市",
        "homeRegionCode": "510100",
        "state": "ACTIVE",
        "stateName": "正常",
    }
    assert (await history(world, mover.person))[-1] == "TRANSFER_IN"
    assert await notices(mover) == [
        "【成都人社】您的社会保障卡归属地已转入成都。参保关系转入请到社保局办理。"
        "如非本人操作，请拨打 028-12333。"
    ]
    assert registry_card(world, "SAMPLE079")["regionName"] == "成都市"


async def test_refuses_a_card_that_is_chengdus_already(world: World, mover: FrontEnd) -> None:
    await _transfer(mover, code=await mover.code("TRANSFER_IN"))
    await mover.inbox()
    before = await world.rows()

    again = await _transfer(mover)
    asked = await mover.ask(_INSURANCES, n="SAMPLE079")

    assert fault(again) == fault(asked) == ("CARD_ALREADY_HERE", "cardNumber")
    assert again["message"] == ("该卡归属地已是成都，无需转入。卡的情况请在「卡状态查询」中查看。")
    assert await world.rows() == before


@pytest.mark.parametrize(
    ("persona", "card_number", "code"),
    [
        ("active", "SAMPLE01X", "CARD_ALREADY_HERE"),
        ("sealed", "SAMPLE028", "CARD_ALREADY_HERE"),
        ("cancelled", "SAMPLE060", "NO_CARD_ELSEWHERE"),
        ("other-city", "SAMPLE095", "TRANSFER_CARD_NOT_FOUND"),
        ("other-city", "SAMPLE999", "TRANSFER_CARD_NOT_FOUND"),
        ("no-card", "SAMPLE079", "NO_CARD_ELSEWHERE"),
        ("other-province", "SAMPLE087", "CARD_OUTSIDE_PROVINCE"),
        ("unenrolled", "SAMPLE095", "INSURANCE_NOT_ENROLLED"),
    ],
)
async def test_refuses_what_cannot_be_moved(
    world: World, persona: str, card_number: str, code: str
) -> None:
    citizen = await world.enter(persona)
    before = await world.rows()

    answer = await _transfer(citizen, cardNumber=card_number)

    fields = {"INSURANCE_NOT_ENROLLED": "insurances", "NO_CARD_ELSEWHERE": None}
    field = fields.get(code, "cardNumber")
    assert fault(answer) == (code, field)
    assert problems(answer) == ([(field, code)] if field else [])
    assert await world.rows() == before


async def test_an_unknown_number_and_another_persons_look_alike(mover: FrontEnd) -> None:
    assert await _transfer(mover, cardNumber="SAMPLE095") == await _transfer(
        mover, cardNumber="SAMPLE999"
    )
    assert await mover.ask(_INSURANCES, n="SAMPLE095") == await mover.ask(
        _INSURANCES, n="SAMPLE999"
    )


async def test_shows_that_nothing_is_enrolled(world: World) -> None:
    citizen = await world.enter("unenrolled")

    answer = await citizen.ask(_INSURANCES, n="SAMPLE095")

    assert [item["enrolled"] for item in answer["items"]] == [False] * 5


async def test_refuses_an_insurance_that_is_not_enrolled(world: World, mover: FrontEnd) -> None:
    code = await mover.code("TRANSFER_IN")
    before = await world.rows()

    answer = await _transfer(mover, insurances=["PENSION", "MATERNITY"], code=code)
    with english(mover):
        in_english = await _transfer(mover, insurances=["MATERNITY"], code=code)

    assert fault(answer) == ("INSURANCE_NOT_ENROLLED", "insurances")
    assert answer["message"].startswith("您未在成都参加生育保险，不能转入；")
    assert "028-12333" in answer["message"]
    assert in_english["message"].startswith("You are not enrolled in Maternity in Chengdu")
    assert await world.rows() == before
    assert (await _transfer(mover, code=code))["__typename"] == "TransferredIn"


async def test_refuses_every_wrong_field_at_once(world: World, mover: FrontEnd) -> None:
    before = await world.rows()

    answer = await _transfer(mover, cardNumber="079", insurances=[], phone="1", code="")

    assert problems(answer) == [
        ("cardNumber", "INVALID_FORMAT"),
        ("phone", "INVALID_FORMAT"),
        ("code", "REQUIRED"),
        ("insurances", "NO_INSURANCE_CHOSEN"),
    ]
    assert await world.rows() == before


async def test_refuses_another_phone_and_a_wrong_code(world: World, mover: FrontEnd) -> None:
    code = await mover.code("TRANSFER_IN")
    before = await world.rows()

    phone = await _transfer(mover, phone=PERSONAS["active"].phone, code=code)
    wrong = await _transfer(mover, code=other_than(code))

    assert fault(phone) == ("PHONE_NOT_BOUND", "phone")
    assert fault(wrong) == ("CODE_WRONG", "code")
    assert await world.rows() == before


@pytest.mark.parametrize(
    ("persona", "code"),
    [
        ("lost", "CARD_ALREADY_HERE"),
        ("locked", "CARD_ALREADY_HERE"),
        ("in-production", "APPLICATION_OPEN"),
    ],
)
async def test_refuses_a_second_card_in_chengdu(
    world: World, mover: FrontEnd, persona: str, code: str
) -> None:
    citizen = await world.enter(persona)
    give_card_elsewhere(world, citizen.person)
    before = await world.rows()

    answer = await _transfer(citizen, cardNumber="SAMPLE888", insurances=["PENSION"])

    assert fault(answer) == (code, None)
    assert await world.rows() == before


async def test_takes_the_longest_bank_code_that_the_registry_may_give(world: World) -> None:
    citizen = await world.enter("no-card")
    give_card_elsewhere(world, citizen.person, bankCode="B" * 32)

    answer = await _transfer(
        citizen,
        cardNumber="SAMPLE888",
        insurances=["PENSION"],
        code=await citizen.code("TRANSFER_IN"),
    )

    assert answer["__typename"] == "TransferredIn"
    assert (await citizen.status())["bankCode"] == "B" * 32


async def test_does_not_understand_a_registry_that_gives_a_longer_one(world: World) -> None:
    citizen = await world.enter("no-card")
    give_card_elsewhere(world, citizen.person, bankCode="B" * 33)
    code = await citizen.code("TRANSFER_IN")
    before = await world.rows()

    answer = await _transfer(citizen, cardNumber="SAMPLE888", insurances=["PENSION"], code=code)

    assert fault(answer) == ("PARTNER_UNAVAILABLE", None)
    assert await world.rows() == before


@pytest.mark.parametrize("state", [CardState.LOST, CardState.SEALED, CardState.CANCELLED])
async def test_refuses_a_card_of_another_city_that_is_not_active(
    world: World, state: CardState
) -> None:
    citizen = await world.enter("no-card")
    give_card_elsewhere(world, citizen.person, state=state)
    before = await world.rows()

    answer = await _transfer(citizen, cardNumber="SAMPLE888")

    assert fault(answer) == ("TRANSFER_CARD_NOT_ACTIVE", "cardNumber")
    assert "只有正常状态的卡可以转入" in answer["message"]
    assert await world.rows() == before


async def _transfer(citizen: FrontEnd, **changes: Any) -> dict[str, Any]:
    given = {
        "cardNumber": citizen.person.card_number or "SAMPLE079",
        "insurances": ["PENSION", "MEDICAL"],
        "phone": citizen.person.phone,
        "code": "000000",
    }
    return await citizen.do("transferIn", "card { cardNumber }", **(given | changes))
