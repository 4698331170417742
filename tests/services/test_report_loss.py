"""挂失 report loss, through HTTP."""

import pytest

from core.kernel.masking import mask_name
from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.parts import english, fault, history, later, notices, problems


@pytest.mark.parametrize("persona", ["active", "temporarily-lost", "locked", "sealed"])
async def test_reports_a_card_lost(world: World, persona: str) -> None:
    citizen = await world.enter(persona)

    answer = await citizen.do(
        "reportLoss",
        "card { name state cardNumber }",
        phone=citizen.person.phone,
        code=await citizen.code("REPORT_LOSS"),
    )

    assert answer == {
        "__typename": "LossReported",
        "card": {
            "name": mask_name(citizen.person.name),
            "state": "LOST",
            "cardNumber": citizen.person.card_number,
        },
    }
    assert (await citizen.status())["state"] == "LOST"
    assert (await history(world, citizen.person))[-1] == "REPORT_LOSS"
    assert await notices(citizen) == [
        "【成都人社】您的社会保障卡已正式挂失。如已找回请办理解挂，未找回请补卡。"
        "如非本人操作，请拨打 028-12333。"
    ]


@pytest.mark.parametrize(
    ("persona", "message"),
    [
        ("lost", "您的卡当前状态为「挂失」，不能办理挂失。如已找回请解挂，未找回请补卡。"),
        (
            "cancelled",
            "您的卡当前状态为「注销」，不能办理挂失。您可以申办社会保障卡；"
            "打开申办表单时，会先核对您在其他地区是否已有卡。",
        ),
    ],
)
async def test_refuses_a_card_in_another_state(world: World, persona: str, message: str) -> None:
    citizen = await world.enter(persona)
    code = await citizen.code("REPORT_LOSS")
    before = await world.rows()

    answer = await citizen.do("reportLoss", phone=citizen.person.phone, code=code)

    assert fault(answer) == ("WRONG_CARD_STATE", None)
    assert answer["message"] == message
    assert await world.rows() == before


async def test_refuses_a_person_without_a_card(world: World) -> None:
    citizen = await world.enter("no-card")
    before = await world.rows()

    answer = await citizen.do("reportLoss", phone=citizen.person.phone, code="000000")

    assert fault(answer) == ("NO_CARD", None)
    assert await world.rows() == before


async def test_refuses_every_wrong_field_at_once(world: World, active: FrontEnd) -> None:
    before = await world.rows()

    answer = await active.do("reportLoss", phone="1990000100", code="12345x")
    with english(active):
        in_english = await active.do("reportLoss", phone="1990000100", code="")

    assert fault(answer) == ("INVALID_FORMAT", "phone")
    assert problems(answer) == [("phone", "INVALID_FORMAT"), ("code", "INVALID_FORMAT")]
    assert answer["message"] == "手机号码格式不正确：应为 11 位手机号码。"
    assert in_english["message"] == "Phone is not in a valid format: 11 digits."
    assert in_english["problems"][1]["message"] == "Please fill in Verification code."
    assert await world.rows() == before


async def test_refuses_another_phone_than_the_bound_one(world: World, active: FrontEnd) -> None:
    code = await active.code("REPORT_LOSS")
    before = await world.rows()

    answer = await active.do("reportLoss", phone=PERSONAS["lost"].phone, code=code)

    assert fault(answer) == ("PHONE_NOT_BOUND", "phone")
    assert problems(answer) == [("phone", "PHONE_NOT_BOUND")]
    assert await world.rows() == before


async def test_an_online_loss_does_not_lapse(world: World, active: FrontEnd) -> None:
    await active.do("reportLoss", phone=active.person.phone, code=await active.code("REPORT_LOSS"))

    with later(days=30):
        await active.sign_in()
        assert (await active.status())["state"] == "LOST"
