"""卡状态查询 card status, through HTTP."""

import pytest

from tests.front_end import FrontEnd, World
from tests.services.parts import english, fault


async def test_shows_the_card_with_masked_personal_data(active: FrontEnd) -> None:
    answer = await active.status()

    assert answer == {
        "__typename": "CardStatus",
        "name": "林**",
        "socialSecurityNumber": "510***********1236",
        "cardNumber": "SAMPLE01X",
        "issueDate": "2021-03-15",
        "bank": "中国工商银行",
        "bankCode": "SAMPLE-ICBC",
        "homeRegion": "成都市",
        "homeRegionCode": "510100",
        "state": "ACTIVE",
        "stateName": "正常",
    }


@pytest.mark.parametrize(
    ("persona", "state", "name", "in_english"),
    [
        ("sealed", "SEALED", "封存（未激活）", "not activated yet"),
        ("lost", "LOST", "挂失", "reported lost"),
        ("locked", "LOCKED", "应用锁定", "locked"),
        ("temporarily-lost", "TEMPORARILY_LOST", "临时挂失", "temporarily lost"),
        ("cancelled", "CANCELLED", "注销", "cancelled"),
    ],
)
async def test_shows_every_state(
    world: World, persona: str, state: str, name: str, in_english: str
) -> None:
    citizen = await world.enter(persona)

    chinese = await citizen.status()
    with english(citizen):
        translated = await citizen.status()

    assert (chinese["state"], chinese["stateName"]) == (state, name)
    assert (translated["state"], translated["stateName"]) == (state, in_english)


@pytest.mark.parametrize("persona", ["no-card", "other-city", "minor"])
async def test_refuses_without_a_card_in_chengdu(world: World, persona: str) -> None:
    citizen = await world.enter(persona)
    before = await world.rows()

    answer = await citizen.status()
    with english(citizen):
        in_english = await citizen.status()

    assert fault(answer) == ("NO_CARD", None)
    assert answer["message"].startswith("没有查到您在成都的社会保障卡。")
    assert in_english["message"].startswith("You have no card in Chengdu.")
    assert await world.rows() == before


async def test_points_whose_card_is_being_made_to_its_progress(world: World) -> None:
    citizen = await world.enter("in-production")
    before = await world.rows()

    answer = await citizen.status()

    assert fault(answer) == ("APPLICATION_OPEN", None)
    assert answer["message"].startswith("您有一笔申请正在办理。进度请在「制卡进度查询」中查看")
    assert await world.rows() == before
