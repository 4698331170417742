"""解挂 cancel loss, through HTTP."""

from typing import Any

import pytest

from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.parts import (
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


@pytest.mark.parametrize("persona", ["lost", "temporarily-lost"])
async def test_restores_a_lost_card(world: World, persona: str) -> None:
    citizen = await world.enter(persona)
    typed = f" {citizen.person.card_number} ".lower()

    answer = await citizen.do(
        "cancelLoss",
        "card { state cardNumber }",
        phone=citizen.person.phone,
        cardNumber=typed[:5] + "-" + typed[5:],
        code=await citizen.code("CANCEL_LOSS"),
    )

    assert answer == {
        "__typename": "LossCancelled",
        "card": {"state": "ACTIVE", "cardNumber": citizen.person.card_number},
    }
    assert (await citizen.status())["state"] == "ACTIVE"
    assert (await history(world, citizen.person))[-1] == "CANCEL_LOSS"
    assert await notices(citizen) == [
        "【成都人社】您的社会保障卡已解挂，恢复挂失前的状态。如非本人操作，请拨打 028-12333。"
    ]


@pytest.mark.parametrize(("persona", "state"), [("sealed", "SEALED"), ("locked", "LOCKED")])
async def test_gives_back_the_state_before_the_loss(world: World, persona: str, state: str) -> None:
    citizen = await world.enter(persona)
    await _report(citizen)

    answer = await _cancel(citizen, code=await citizen.code("CANCEL_LOSS"))

    assert answer["__typename"] == "LossCancelled"
    assert (await citizen.status())["state"] == state
    number = await person_id(world, citizen.person)
    rows = (await world.rows("cards"))["cards"]
    assert [row.state_before for row in rows if row.subject_id == number] == [None]


@pytest.mark.parametrize(
    ("persona", "events", "state"),
    [
        ("active", ["LOCK"], "LOCKED"),
        ("active", ["LOCK", "UNLOCK"], "ACTIVE"),
        ("locked", ["UNLOCK"], "ACTIVE"),
    ],
)
async def test_what_happened_to_a_lost_card_meanwhile_is_given_back(
    world: World, persona: str, events: list[str], state: str
) -> None:
    citizen = await world.enter(persona)
    await _report(citizen)

    for event in events:
        await world.advance(persona, event=event)
        assert (await citizen.status())["state"] == "LOST"
    await _cancel(citizen, code=await citizen.code("CANCEL_LOSS"))

    assert (await citizen.status())["state"] == state
    told = [entry for entry in await history(world, citizen.person) if "ISSUER_EVENT" in entry]
    assert told == [f"ISSUER_EVENT {event}" for event in events]


async def test_a_card_that_is_locked_while_temporarily_lost_stays_locked(world: World) -> None:
    citizen = await world.enter("temporarily-lost")
    await world.advance("temporarily-lost", event="LOCK")

    with later(days=8):
        await citizen.sign_in()
        lapsed = await citizen.status()
        await world.application.scheduler.run_due()
        written = await citizen.status()

    assert (lapsed["state"], written["state"]) == ("LOCKED", "LOCKED")


async def test_a_new_card_that_was_lost_is_found_while_its_reissue_is_open(world: World) -> None:
    """The reissue bars the old card, not the one that was made for it."""
    citizen = await world.enter("lost")
    await citizen.do(
        "reissueCard", **reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD"))
    )
    await world.make_card("lost")
    new = (await citizen.progress())["cardNumber"]
    await _report(citizen)
    code = await citizen.code("CANCEL_LOSS")
    before = await world.rows("cards", "applications")

    old = await _cancel(citizen, code=code)
    assert await world.rows("cards", "applications") == before
    found = await _cancel(citizen, cardNumber=new, code=code)
    again = await _cancel(citizen, code=code)

    assert fault(old) == ("CARD_NUMBER_MISMATCH", "cardNumber")
    assert found["__typename"] == "LossCancelled"
    assert (await citizen.status())["state"] == "SEALED"
    assert fault(again) == ("REISSUE_OPEN", None)


@pytest.mark.parametrize(
    ("persona", "state"),
    [
        ("active", "正常"),
        ("sealed", "封存（未激活）"),
        ("locked", "应用锁定"),
        ("cancelled", "注销"),
    ],
)
async def test_refuses_a_card_that_is_not_lost(world: World, persona: str, state: str) -> None:
    citizen = await world.enter(persona)
    before = await world.rows()

    answer = await _cancel(citizen)

    assert fault(answer) == ("WRONG_CARD_STATE", None)
    assert answer["message"].startswith(f"您的卡当前状态为「{state}」，不能办理解挂。")
    assert await world.rows() == before


async def test_refuses_a_temporary_loss_that_has_lapsed(world: World) -> None:
    citizen = world.front_end("temporarily-lost")
    with later(days=8):
        await citizen.enter()
        before = await world.rows()

        answer = await _cancel(citizen)

        assert fault(answer) == ("WRONG_CARD_STATE", None)
        assert await world.rows() == before


async def test_refuses_while_a_reissue_is_open(world: World) -> None:
    citizen = await world.enter("lost")
    code = await citizen.code("CANCEL_LOSS")
    await citizen.do(
        "reissueCard", **reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD"))
    )
    before = await world.rows()

    while_made = await _cancel(citizen, code=code)
    assert await world.rows() == before
    await world.make_card("lost")
    before = await world.rows("applications", "cards")
    once_made = await _cancel(citizen, code=code)
    with english(citizen):
        in_english = await _cancel(citizen, code=code)

    assert fault(while_made) == fault(once_made) == ("REISSUE_OPEN", None)
    assert while_made["message"].startswith("补卡已受理，原卡不能再解挂。进度请在「制卡进度查询」")
    assert once_made["message"].startswith("补卡已受理，原卡不能再解挂。卡已制成，领取后请激活。")
    assert in_english["message"].startswith("A reissue was accepted")
    assert await world.rows("applications", "cards") == before


async def test_refuses_another_phone_and_another_card_at_once(world: World) -> None:
    citizen = await world.enter("lost")
    code = await citizen.code("CANCEL_LOSS")
    before = await world.rows()

    answer = await _cancel(
        citizen, phone=PERSONAS["active"].phone, cardNumber="SAMPLE01X", code=code
    )

    assert fault(answer) == ("PHONE_NOT_BOUND", "phone")
    assert problems(answer) == [
        ("phone", "PHONE_NOT_BOUND"),
        ("cardNumber", "CARD_NUMBER_MISMATCH"),
    ]
    assert await world.rows() == before
    assert (await _cancel(citizen, code=code))["__typename"] == "LossCancelled"


async def test_refuses_every_malformed_field_at_once(world: World) -> None:
    citizen = await world.enter("lost")
    before = await world.rows()

    answer = await _cancel(citizen, phone="", cardNumber="SAMPLE03", code="１２３４５")

    assert problems(answer) == [
        ("phone", "REQUIRED"),
        ("cardNumber", "INVALID_FORMAT"),
        ("code", "INVALID_FORMAT"),
    ]
    assert await world.rows() == before


async def test_refuses_a_wrong_code(world: World) -> None:
    citizen = await world.enter("lost")
    code = await citizen.code("CANCEL_LOSS")
    before = await world.rows()

    answer = await _cancel(citizen, code=other_than(code))

    assert fault(answer) == ("CODE_WRONG", "code")
    assert await world.rows() == before


async def _report(citizen: FrontEnd) -> None:
    answer = await citizen.do(
        "reportLoss", phone=citizen.person.phone, code=await citizen.code("REPORT_LOSS")
    )
    assert answer["__typename"] == "LossReported", answer


async def _cancel(citizen: FrontEnd, **changes: str) -> dict[str, Any]:
    given = {
        "phone": citizen.person.phone,
        "cardNumber": citizen.person.card_number or "",
        "code": "000000",
    }
    return await citizen.do("cancelLoss", **(given | changes))
