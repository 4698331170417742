"""激活 activate, through HTTP."""

import re
import secrets
from typing import Any

import pytest

from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.parts import (
    english,
    fault,
    history,
    notices,
    other_than,
    person_id,
    problems,
    reissue_of,
)


async def test_activates_a_sealed_card_and_sends_a_service_password(world: World) -> None:
    citizen = await world.enter("sealed")

    answer = await _activate(citizen, code=await citizen.code("ACTIVATE_CARD"))

    assert answer == {
        "__typename": "CardActivated",
        "card": {"state": "ACTIVE", "cardNumber": citizen.person.card_number},
    }
    assert (await citizen.status())["state"] == "ACTIVE"
    assert (await history(world, citizen.person))[-1] == "ACTIVATE_CARD"
    changed = await citizen.do(
        "changePassword",
        oldPassword=await _password_from_inbox(citizen),
        newPassword="60318527",
        confirmPassword="60318527",
    )
    assert changed["__typename"] == "PasswordChanged"


async def test_closes_the_application_that_led_to_the_card(world: World) -> None:
    citizen = await world.enter("sealed")
    await _activate(citizen, code=await citizen.code("ACTIVATE_CARD"))

    answer = await citizen.do(
        "reportLoss", phone=citizen.person.phone, code=await citizen.code("REPORT_LOSS")
    )

    assert answer["__typename"] == "LossReported"
    closed = [row.closed_at for row in (await world.rows("applications"))["applications"]]
    assert sum(at is None for at in closed) == 1


async def test_each_activation_generates_another_password(world: World) -> None:
    first, second = await world.enter("sealed"), await world.enter("in-production")
    await world.make_card("in-production")
    number = (await second.progress())["cardNumber"]

    await _activate(first, code=await first.code("ACTIVATE_CARD"))
    await _activate(second, cardNumber=number, code=await second.code("ACTIVATE_CARD"))

    assert await _password_from_inbox(first) != await _password_from_inbox(second)


async def test_a_password_that_is_too_simple_is_generated_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    citizen = await world.enter("sealed")
    code = await citizen.code("ACTIVATE_CARD")
    born = int(f"{citizen.person.birth_date:%Y%m%d}")
    numbers, random = iter([88888888, 12345678, born, 60318527]), secrets.randbelow
    monkeypatch.setattr(
        secrets, "randbelow", lambda most: next(numbers) if most == 10**8 else random(most)
    )

    await _activate(citizen, code=code)

    assert await _password_from_inbox(citizen) == "60318527"


async def test_activating_a_reissued_card_cancels_the_old_one(world: World) -> None:
    citizen = await world.enter("lost")
    await citizen.do(
        "reissueCard", **reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD"))
    )
    await world.make_card("lost")
    number = (await citizen.progress())["cardNumber"]

    answer = await _activate(citizen, cardNumber=number, code=await citizen.code("ACTIVATE_CARD"))

    assert answer["card"] == {"state": "ACTIVE", "cardNumber": number}
    assert number != citizen.person.card_number
    assert (await history(world, citizen.person))[-2:] == ["CARD_CANCELLED", "ACTIVATE_CARD"]
    assert await _states_of(world, citizen) == ["9", "1"]
    assert (await citizen.status())["cardNumber"] == number
    assert (await notices(citizen))[0].startswith("【成都人社】您的社会保障卡人社功能已激活")


@pytest.mark.parametrize(
    ("persona", "code", "message"),
    [
        ("active", "WRONG_CARD_STATE", "您的卡当前状态为「正常」，不能办理激活。"),
        ("lost", "WRONG_CARD_STATE", "您的卡当前状态为「挂失」，不能办理激活。"),
        ("temporarily-lost", "WRONG_CARD_STATE", "您的卡当前状态为「临时挂失」，不能办理激活。"),
        ("locked", "WRONG_CARD_STATE", "您的卡当前状态为「应用锁定」，不能办理激活。"),
        ("cancelled", "WRONG_CARD_STATE", "您的卡当前状态为「注销」，不能办理激活。"),
        ("in-production", "APPLICATION_OPEN", "您有一笔申请正在办理。"),
        ("no-card", "NO_CARD", "没有查到您在成都的社会保障卡。"),
    ],
)
async def test_refuses_without_a_sealed_card(
    world: World, persona: str, code: str, message: str
) -> None:
    citizen = await world.enter(persona)
    before = await world.rows()

    answer = await _activate(citizen, cardNumber="SAMPLE028")

    assert fault(answer) == (code, None)
    assert answer["message"].startswith(message)
    assert await world.rows() == before


async def test_refuses_another_phone_and_another_number_at_once(world: World) -> None:
    citizen = await world.enter("sealed")
    code = await citizen.code("ACTIVATE_CARD")
    before = await world.rows()

    both = await _activate(
        citizen, phone=PERSONAS["active"].phone, cardNumber="SAMPLE01X", code=code
    )
    number = await _activate(citizen, cardNumber="SAMPLE01X", code=code)
    with english(citizen):
        in_english = await _activate(citizen, cardNumber="SAMPLE01X", code=code)

    assert problems(both) == [
        ("phone", "PHONE_NOT_BOUND"),
        ("cardNumber", "CARD_NUMBER_MISMATCH"),
    ]
    assert fault(number) == ("CARD_NUMBER_MISMATCH", "cardNumber")
    assert number["message"] == "社会保障卡号与您的卡不一致，卡号在卡片头像面。"
    assert in_english["message"].startswith("The card number does not match your card")
    assert await world.rows() == before
    assert (await _activate(citizen, code=code))["__typename"] == "CardActivated"


async def test_refuses_every_malformed_field_at_once(world: World) -> None:
    citizen = await world.enter("sealed")
    before = await world.rows()

    answer = await _activate(citizen, phone="123", cardNumber="", code="")

    assert problems(answer) == [
        ("phone", "INVALID_FORMAT"),
        ("cardNumber", "REQUIRED"),
        ("code", "REQUIRED"),
    ]
    assert await world.rows() == before


async def test_refuses_a_wrong_code(world: World) -> None:
    citizen = await world.enter("sealed")
    code = await citizen.code("ACTIVATE_CARD")
    before = await world.rows()

    answer = await _activate(citizen, code=other_than(code))

    assert fault(answer) == ("CODE_WRONG", "code")
    assert await world.rows() == before


async def _activate(citizen: FrontEnd, **changes: str) -> dict[str, Any]:
    given = {
        "phone": citizen.person.phone,
        "cardNumber": citizen.person.card_number,
        "code": "000000",
    }
    return await citizen.do("activateCard", "card { state cardNumber }", **(given | changes))


async def _password_from_inbox(citizen: FrontEnd) -> str:
    text = next(text for text in await notices(citizen) if "初始服务密码" in text)
    found = re.search(r"初始服务密码为 ([0-9]{8})，", text)
    assert found is not None
    return found[1]


async def _states_of(world: World, citizen: FrontEnd) -> list[str]:
    """Of the person's cards, oldest first."""
    owner = await person_id(world, citizen.person)
    return [card.state for card in (await world.rows("cards"))["cards"] if card.subject_id == owner]
