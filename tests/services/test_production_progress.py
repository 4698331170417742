"""制卡进度查询 production progress, through HTTP. Watching it live is in tests/live.py."""

from datetime import datetime

import pytest

from tests.front_end import FrontEnd, World
from tests.services.parts import english, fault, history, notices

NODES = [
    "INTAKE",
    "BANK_ACCOUNT",
    "MANUFACTURE",
    "KEY_LOADING",
    "STOCK_TRANSFER",
    "READY_FOR_PICKUP",
]


@pytest.fixture
async def waiting(world: World) -> FrontEnd:
    """Two nodes are done, the third is under way."""
    return await world.enter("in-production")


async def test_shows_the_six_nodes_in_order(waiting: FrontEnd) -> None:
    answer = await waiting.progress()
    with english(waiting):
        translated = await waiting.progress()

    assert {name: value for name, value in answer.items() if name != "nodes"} == {
        "__typename": "ProductionProgress",
        "applicationNumber": "SBK202501060000000007",
        "name": "何**",
        "socialSecurityNumber": "510***********4627",
        "batchNumber": "SAMPLE-2025010601",
        "cardNumber": None,
        "bank": "中国工商银行",
    }
    assert [(node["node"], node["title"], node["result"]) for node in answer["nodes"]] == [
        ("INTAKE", "采集信息受理", "DONE"),
        ("BANK_ACCOUNT", "银行开户", "DONE"),
        ("MANUFACTURE", "卡商制卡", "IN_PROGRESS"),
        ("KEY_LOADING", "密钥加载", "PENDING"),
        ("STOCK_TRANSFER", "卡库存转移", "PENDING"),
        ("READY_FOR_PICKUP", "可领卡", "PENDING"),
    ]
    assert [node["at"] is None for node in answer["nodes"]] == [
        False,
        False,
        True,
        True,
        True,
        True,
    ]
    assert translated["nodes"][5]["title"] == "Ready for pickup"


async def test_goes_on_node_by_node_until_the_card_is_ready(
    world: World, waiting: FrontEnd
) -> None:
    await world.advance("in-production")
    manufactured = await waiting.progress()
    await world.make_card("in-production")
    ready = await waiting.progress()

    assert [node["result"] for node in manufactured["nodes"]] == ["DONE"] * 3 + [
        "IN_PROGRESS",
        "PENDING",
        "PENDING",
    ]
    assert [node["result"] for node in ready["nodes"]] == ["DONE"] * 6
    times = [datetime.fromisoformat(node["at"]) for node in ready["nodes"]]
    assert times == sorted(times)
    assert ready["cardNumber"] == manufactured["cardNumber"] is not None
    shown = await waiting.status()
    assert (shown["state"], shown["cardNumber"]) == ("SEALED", ready["cardNumber"])
    assert (await history(world, waiting.person))[-2:] == ["ISSUER_EVENT", "CARD_ISSUED"]
    assert await notices(waiting) == [
        "【成都人社】您的社会保障卡已制好，请携带身份证到所选网点领取，领取后在线激活。"
        "如非本人操作，请拨打 028-12333。"
    ]


async def test_a_node_can_fail_and_be_retried(world: World, waiting: FrontEnd) -> None:
    await world.advance("in-production", result="FAILED", reason="照片未能打印，制卡中心将重新制作")
    failed = (await waiting.progress())["nodes"]
    await world.advance("in-production")
    retried = (await waiting.progress())["nodes"]

    assert [node["result"] for node in failed] == ["DONE", "DONE", "FAILED"] + ["PENDING"] * 3
    assert failed[2]["message"] == "照片未能打印，制卡中心将重新制作"
    assert failed[2]["at"] is not None
    assert [node["result"] for node in retried[:4]] == ["DONE", "DONE", "DONE", "IN_PROGRESS"]
    assert retried[2]["message"] is None


async def test_the_last_node_can_fail_and_be_retried(world: World, waiting: FrontEnd) -> None:
    for _ in range(3):
        await world.advance("in-production")
    await world.advance("in-production", result="FAILED", reason="网点尚未收到卡片")
    before = await waiting.status()

    await world.advance("in-production")

    assert fault(before) == ("NO_CARD", None)
    assert (await waiting.status())["state"] == "SEALED"


@pytest.mark.parametrize("persona", ["active", "sealed", "lost", "cancelled"])
async def test_keeps_showing_a_production_that_is_over(world: World, persona: str) -> None:
    citizen = await world.enter(persona)

    answer = await citizen.progress()

    assert [node["node"] for node in answer["nodes"]] == NODES
    assert {node["result"] for node in answer["nodes"]} == {"DONE"}
    assert answer["cardNumber"] == citizen.person.card_number


async def test_refuses_where_no_card_was_ever_made(world: World) -> None:
    citizen = await world.enter("no-card")
    before = await world.rows()

    answer = await citizen.progress()
    with english(citizen):
        in_english = await citizen.progress()

    assert fault(answer) == ("NO_APPLICATION", None)
    assert answer["message"] == "没有查到您的制卡记录。"
    assert in_english["message"] == "No card production of yours was found."
    assert await world.rows() == before
