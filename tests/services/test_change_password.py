"""服务密码变更 change password, through HTTP."""

import asyncio
from typing import Any

import pytest

from tests.front_end import FrontEnd, World
from tests.services.parts import english, fault, history, later, notices, problems

NEW = "60318527"
FORGOTTEN = "忘记原密码的，本渠道不能找回，请拨打 028-12333 咨询如何重置。"


async def test_changes_the_password(world: World, active: FrontEnd) -> None:
    answer = await _change(active)

    assert answer["__typename"] == "PasswordChanged"
    assert (await history(world, active.person))[-1] == "CHANGE_PASSWORD"
    assert await notices(active) == [
        "【成都人社】您的社会保障卡服务密码已修改。如非本人操作，请拨打 028-12333。"
    ]
    assert fault(await _change(active, newPassword="93714062", confirmPassword="93714062")) == (
        "PASSWORD_WRONG",
        "oldPassword",
    )
    again = await _change(
        active, oldPassword=NEW, newPassword="93714062", confirmPassword="93714062"
    )
    assert again["__typename"] == "PasswordChanged"


async def test_locks_the_change_for_a_day_after_five_wrong_passwords(
    world: World, active: FrontEnd
) -> None:
    before = await world.rows("citizens", "cards")

    wrong = [await _change(active, oldPassword="11112223") for _ in range(5)]
    right = await _change(active)

    assert [fault(answer) for answer in wrong[:4]] == [("PASSWORD_WRONG", "oldPassword")] * 4
    assert [answer["message"] for answer in wrong[:4]] == [
        f"原密码不正确，还可以再试 {left} 次。{FORGOTTEN}" for left in (4, 3, 2, 1)
    ]
    assert fault(wrong[4]) == fault(right) == ("PASSWORD_LOCKED", "oldPassword")
    assert wrong[4]["retryAfter"] == 86_400
    assert 86_390 <= right["retryAfter"] <= 86_400
    assert right["message"] == (
        f"原密码输错次数过多，密码变更已锁定，请 24 小时后再试。{FORGOTTEN}"
    )
    assert await world.rows("citizens", "cards") == before
    told = [entry for entry in await history(world, active.person) if "PASSWORD" in entry]
    assert told == [
        *["CHANGE_PASSWORD PASSWORD_WRONG"] * 4,
        "CHANGE_PASSWORD PASSWORD_LOCKED",
    ]
    assert await notices(active) == []
    with later(hours=23, minutes=59):
        await active.sign_in()
        assert (await _change(active))["code"] == "PASSWORD_LOCKED"
    with later(hours=24, seconds=1):
        await active.sign_in()
        assert (await _change(active))["__typename"] == "PasswordChanged"


async def test_counts_wrong_passwords_from_every_channel(world: World, active: FrontEnd) -> None:
    elsewhere = await world.enter("active", "PING_AN")
    for citizen in (active, elsewhere, active, elsewhere):
        await _change(citizen, oldPassword="11112223")

    answer = await _change(elsewhere, oldPassword="11112223")

    assert answer["code"] == "PASSWORD_LOCKED"


async def test_a_right_password_resets_the_count(active: FrontEnd) -> None:
    for _ in range(4):
        await _change(active, oldPassword="11112223")
    await _change(active)

    answer = await _change(
        active, oldPassword="11112223", newPassword="93714062", confirmPassword="93714062"
    )

    assert answer["message"] == f"原密码不正确，还可以再试 4 次。{FORGOTTEN}"


async def test_a_mistake_elsewhere_in_the_form_costs_no_try(active: FrontEnd) -> None:
    for _ in range(6):
        refused = await _change(active, oldPassword="11112223", confirmPassword="1")
        assert problems(refused) == [("confirmPassword", "PASSWORDS_DIFFER")]

    assert (await _change(active))["__typename"] == "PasswordChanged"


async def test_refuses_a_simple_password(world: World, active: FrontEnd) -> None:
    runs = ["12345678", "23456789", "34567890", "87654321"]
    repeats_and_mirrors = ["88888888", "12121212", "40740740", "47094709", "27944972"]
    birth_date = ["19910415", "15041991", "04151991"]
    parts_of_the_id_number = ["51010419", "10419910", "04151236"]
    before = await world.rows()

    answers = [
        await _change(active, newPassword=simple, confirmPassword=simple)
        for simple in (*runs, *repeats_and_mirrors, *birth_date, *parts_of_the_id_number)
    ]

    assert [fault(answer) for answer in answers] == [("PASSWORD_TOO_SIMPLE", "newPassword")] * 15
    assert answers[0]["message"].startswith("新密码过于简单：")
    assert await world.rows() == before


async def test_of_two_changes_at_once_one_is_done(world: World, active: FrontEnd) -> None:
    """Both were judged against the same old password."""
    answers = await asyncio.gather(
        _change(active), _change(active, newPassword="93714062", confirmPassword="93714062")
    )

    told = sorted(answer.get("code", answer["__typename"]) for answer in answers)
    assert told == ["PasswordChanged", "TRY_AGAIN_LATER"]
    assert (await history(world, active.person)).count("CHANGE_PASSWORD") == 1


async def test_refuses_an_unchanged_password(world: World, active: FrontEnd) -> None:
    old = active.person.service_password or ""
    before = await world.rows()

    answer = await _change(active, newPassword=old, confirmPassword=old)

    assert fault(answer) == ("PASSWORD_UNCHANGED", "newPassword")
    assert await world.rows() == before


async def test_refuses_what_is_not_eight_digits(world: World, active: FrontEnd) -> None:
    before = await world.rows()

    answers = [
        await _change(active, newPassword=malformed, confirmPassword=malformed)
        for malformed in ("6031852", "603185270", "6031852a", "６０３１８５２", " 60318527")
    ]

    assert [fault(answer) for answer in answers] == [("INVALID_FORMAT", "newPassword")] * 5
    assert answers[0]["message"] == "新密码格式不正确：应为八位纯数字。"
    assert await world.rows() == before


async def test_refuses_every_wrong_field_at_once(world: World, active: FrontEnd) -> None:
    before = await world.rows()

    answer = await _change(
        active, oldPassword="4091725", newPassword="88888888", confirmPassword="77777777"
    )
    with english(active):
        in_english = await _change(active, oldPassword="", newPassword="", confirmPassword="1")

    assert problems(answer) == [
        ("oldPassword", "INVALID_FORMAT"),
        ("newPassword", "PASSWORD_TOO_SIMPLE"),
        ("confirmPassword", "PASSWORDS_DIFFER"),
    ]
    assert [problem["message"] for problem in in_english["problems"]] == [
        "Please fill in Old password.",
        "Please fill in New password.",
        "The two new passwords do not match.",
    ]
    assert await world.rows() == before


@pytest.mark.parametrize("persona", ["sealed", "no-card"])
async def test_refuses_a_person_without_a_password(world: World, persona: str) -> None:
    citizen = await world.enter(persona)
    before = await world.rows()

    answer = await _change(citizen, oldPassword="11112223")

    assert fault(answer) == ("PASSWORD_NOT_SET", None)
    assert await world.rows() == before


async def _change(citizen: FrontEnd, **changes: str) -> dict[str, Any]:
    given = {
        "oldPassword": citizen.person.service_password,
        "newPassword": NEW,
        "confirmPassword": NEW,
    }
    return await citizen.do("changePassword", "at", **(given | changes))
