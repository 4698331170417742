"""挂失 report loss, through HTTP."""

from tests.front_end import World


async def test_reports_an_active_card_lost(world: World) -> None:
    citizen = await world.enter("active")

    answer = await citizen.do(
        "reportLoss",
        "card { state cardNumber }",
        phone=citizen.person.phone,
        code=await citizen.code("REPORT_LOSS"),
    )

    assert answer == {
        "__typename": "LossReported",
        "card": {"state": "LOST", "cardNumber": citizen.person.card_number},
    }
    assert (await citizen.status())["state"] == "LOST"


async def test_refuses_a_card_already_lost(world: World) -> None:
    citizen = await world.enter("lost")
    code = await citizen.code("REPORT_LOSS")
    before = await world.rows()

    answer = await citizen.do("reportLoss", phone=citizen.person.phone, code=code)

    assert answer["code"] == "WRONG_CARD_STATE"
    assert "挂失" in answer["message"]
    assert await world.rows() == before
