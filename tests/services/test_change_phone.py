"""信息变更 · 手机号码变更 change phone, through HTTP."""

import pytest

from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.parts import NEW_PHONE, english, fault, history, notices, other_than, problems


async def test_changes_the_phone_and_tells_the_old_one(world: World, active: FrontEnd) -> None:
    answer = await active.do(
        "changePhone", "at", newPhone=NEW_PHONE, code=await active.code("CHANGE_PHONE", NEW_PHONE)
    )

    assert answer["__typename"] == "PhoneChanged"
    assert (await active.ask("{ viewer { phone } }")) == {"phone": "199****9999"}
    assert (await history(world, active.person))[-1] == "CHANGE_PHONE"
    assert await notices(active) == [
        "【成都人社】您的社会保障卡绑定手机号码已变更为其他号码。如非本人操作，请拨打 028-12333。"
    ]
    assert await notices(active, NEW_PHONE) == []
    assert fault(await active.send_code("REPORT_LOSS")) == ("PHONE_NOT_BOUND", "phone")
    reported = await active.do(
        "reportLoss", phone=NEW_PHONE, code=await active.code("REPORT_LOSS", NEW_PHONE)
    )
    assert reported["__typename"] == "LossReported"


async def test_the_phone_given_up_is_free_for_another_person(
    world: World, active: FrontEnd
) -> None:
    await active.do(
        "changePhone", newPhone=NEW_PHONE, code=await active.code("CHANGE_PHONE", NEW_PHONE)
    )
    neighbour = await world.enter("lost")

    answer = await neighbour.do(
        "changePhone",
        newPhone=active.person.phone,
        code=await neighbour.code("CHANGE_PHONE", active.person.phone),
    )

    assert answer["__typename"] == "PhoneChanged"


async def test_refuses_a_phone_of_another_person_without_using_up_the_code(
    world: World, active: FrontEnd
) -> None:
    taken = PERSONAS["lost"].phone
    code = await active.code("CHANGE_PHONE", taken)
    before = await world.rows()

    answers = [await active.do("changePhone", newPhone=taken, code=code) for _ in range(6)]
    with english(active):
        in_english = await active.do("changePhone", newPhone=taken, code=code)

    assert {fault(answer) for answer in answers} == {("PHONE_TAKEN", "newPhone")}
    assert answers[0]["message"] == "该手机号码不能用于您的账户，请换一个本人的号码。"
    assert in_english["message"].startswith("This phone number cannot be used for you")
    assert await world.rows() == before


async def test_refuses_a_wrong_code_alike_for_a_free_and_a_taken_phone(
    world: World, active: FrontEnd
) -> None:
    wrong = [
        (phone, other_than(await active.code("CHANGE_PHONE", phone)))
        for phone in (NEW_PHONE, PERSONAS["lost"].phone)
    ]
    before = await world.rows()

    free, taken = [
        await active.do("changePhone", newPhone=phone, code=code) for phone, code in wrong
    ]

    assert fault(free) == ("CODE_WRONG", "code")
    assert free == taken
    assert await world.rows() == before


async def test_refuses_the_phone_that_is_bound_already(world: World, active: FrontEnd) -> None:
    before = await world.rows()

    answer = await active.do("changePhone", newPhone=active.person.phone, code="000000")

    assert fault(answer) == ("PHONE_UNCHANGED", "newPhone")
    assert await world.rows() == before


@pytest.mark.parametrize(
    ("phone", "code", "expected"),
    [
        ("1990000999", "000000", [("newPhone", "INVALID_FORMAT")]),
        ("", "", [("newPhone", "REQUIRED"), ("code", "REQUIRED")]),
        (NEW_PHONE, "000000", [("code", "CODE_NOT_SENT")]),
    ],
)
async def test_refuses_a_wrong_field(
    world: World, active: FrontEnd, phone: str, code: str, expected: list[tuple[str, str]]
) -> None:
    before = await world.rows()

    answer = await active.do("changePhone", newPhone=phone, code=code)

    assert problems(answer) == expected
    assert await world.rows() == before
