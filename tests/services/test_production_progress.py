"""制卡进度查询 production progress, through HTTP. Watching it live is in tests/http/test_live.py."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from core.applications import ApplicationKind, applications
from core.citizens import citizens
from core.kernel.callers import ChannelId
from core.kernel.clock import CHINA, DAY, HOUR
from core.production import NodeResult, NodeState, orders
from core.production.history import MIN_ORDERS
from core.unit_of_work import UnitOfWork
from sandbox.issuer import NODES
from tests.front_end import FrontEnd, World, as_read
from tests.services.orders import fail_issuer
from tests.services.parts import (
    OUTLET_OF_OTHER_DISTRICT,
    english,
    fault,
    history,
    later,
    notices,
    reissue_of,
)
from tests.units import change

WHERE = """{ productionProgress { ... on ProductionProgress {
    outlet { code name address phone openingHours longitude latitude instantIssue } collectBy } } }"""


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
    last_day = date.fromisoformat((await waiting.ask(WHERE))["collectBy"])
    assert await notices(waiting) == [
        "【成都人社】您的社会保障卡已制好，请携带身份证到所选网点领取，领取后在线激活。"
        "领取地点：示例网点 锦江区一号，示例地址：成都市锦江区，示例：工作日 9:00–17:00，电话 028-12333。"
        f"请在{last_day.month}月{last_day.day}日前领取。"
        "如非本人操作，请拨打 028-12333。"
    ]


@pytest.mark.parametrize("channel", ChannelId)
async def test_tells_where_and_until_when_the_card_is_collected(
    world: World, channel: ChannelId
) -> None:
    waiting = await world.enter("in-production", channel.value)
    before = await waiting.ask(WHERE)
    await world.make_card("in-production")

    after = await waiting.ask(WHERE)

    assert before == after | {"collectBy": None}
    assert after["outlet"] == {
        "code": "SAMPLE-510104-1",
        "name": "示例网点 锦江区一号",
        "address": "示例地址：成都市锦江区",
        "phone": "028-12333",
        "openingHours": "示例：工作日 9:00–17:00",
        "longitude": None,
        "latitude": None,
        "instantIssue": True,
    }
    ready_at = datetime.fromisoformat((await waiting.progress())["nodes"][5]["at"])
    assert after["collectBy"] == f"{ready_at.astimezone(CHINA).date() + timedelta(days=90)}"


async def test_a_node_can_fail_and_be_retried(world: World, waiting: FrontEnd) -> None:
    await world.advance("in-production", result="FAILED", reason="照片未能打印，制卡中心将重新制作")
    failed = (await waiting.progress())["nodes"]
    with english(waiting):
        in_english = (await waiting.progress())["nodes"][2]["message"]
    await world.advance("in-production")
    retried = (await waiting.progress())["nodes"]

    assert [node["result"] for node in failed] == ["DONE", "DONE", "FAILED"] + ["PENDING"] * 3
    assert failed[2]["message"] == (
        "「卡商制卡」未通过：照片未能打印，制卡中心将重新制作。"
        "制卡中心处理后会继续办理，结果在此更新。如需帮助请拨打 028-12333。"
    )
    assert in_english == (
        "“Manufacture” did not pass. Reason given by the card issuer: 照片未能打印，制卡中心将重新制作. "
        "The card issuer is dealing with it; the result will be shown here. "
        "For help, call 028-12333."
    )
    assert failed[2]["at"] is not None
    assert [node["result"] for node in retried[:4]] == ["DONE", "DONE", "DONE", "IN_PROGRESS"]
    assert retried[2]["message"] is None


async def test_a_reason_never_shows_or_keeps_a_number(world: World, waiting: FrontEnd) -> None:
    await world.advance(
        "in-production",
        result="FAILED",
        reason="证件510104199001014627、手机 138 0013 8000、卡 SAMPLE01X\n与登记不符 (retry pending)。",
    )

    message = (await waiting.progress())["nodes"][2]["message"]
    rows = await world.rows("production_nodes", "production_changes")
    kept = [
        cell for table in rows.values() for row in table for cell in row if isinstance(cell, str)
    ]

    assert message.startswith(
        "「卡商制卡」未通过：证件***、手机 ***、卡 ***与登记不符 (retry pending)。制卡中心处理后会继续办理"
    )
    assert sum("与登记不符" in text for text in kept) == 2
    assert not any(part in text for text in kept for part in ("4627", "8000", "SAMPLE01X"))


async def test_tells_every_change_even_what_a_retry_has_covered(
    world: World, waiting: FrontEnd
) -> None:
    await world.advance("in-production", result="FAILED", reason="照片未能打印")
    await world.advance("in-production")

    changes = await changes_of(waiting)

    assert [(change["node"], change["result"]) for change in changes] == [
        ("INTAKE", "DONE"),
        ("BANK_ACCOUNT", "DONE"),
        ("MANUFACTURE", "FAILED"),
        ("MANUFACTURE", "DONE"),
    ]
    assert changes[2]["message"].startswith("「卡商制卡」未通过：照片未能打印。")
    assert changes[3]["message"] is None
    assert all(change["at"] for change in changes)


async def test_estimates_from_completed_orders_alone(world: World, waiting: FrontEnd) -> None:
    await complete_orders(world, MIN_ORDERS, first=100)
    await world.advance("in-production")

    estimate = await estimate_of(waiting)

    fourth_begun = datetime.fromisoformat((await waiting.progress())["nodes"][2]["at"])
    around = datetime.fromisoformat(estimate["readyAround"]) - fourth_begun
    by = datetime.fromisoformat(estimate["readyBy"]) - fourth_begun
    assert estimate["basedOn"] == MIN_ORDERS
    # Three nodes are left, and each took order number n a day and n hours.
    assert around.total_seconds() == 3 * (24 + 10) * 3600
    assert by.total_seconds() == 3 * (24 + 18) * 3600
    assert estimate["message"].startswith("参考近期 20 张同一步骤的卡：半数在")


async def test_estimates_from_orders_that_waited_as_long(world: World, waiting: FrontEnd) -> None:
    """Order number n needed three days and 3 n hours from this node on: after four days of
    waiting, the first nine of forty tell nothing any more."""
    await complete_orders(world, 40, first=100)
    await world.advance("in-production")

    with later(days=4):
        await waiting.sign_in()
        estimate = await estimate_of(waiting)

    assert estimate["basedOn"] == 31


async def test_estimates_nothing_from_orders_that_began_elsewhere(
    world: World, waiting: FrontEnd
) -> None:
    await complete_orders(world, MIN_ORDERS - 1, first=100)
    await complete_orders(world, 5, first=200, entered_at_node=5)
    await world.advance("in-production")

    assert await estimate_of(waiting) is None


async def test_estimates_nothing_from_too_few_orders(world: World, waiting: FrontEnd) -> None:
    await complete_orders(world, MIN_ORDERS - 1, first=100)

    assert await estimate_of(waiting) is None


async def test_estimates_nothing_for_a_node_that_failed(world: World, waiting: FrontEnd) -> None:
    await complete_orders(world, MIN_ORDERS, first=100)
    await world.advance("in-production", result="FAILED", reason="照片未能打印")

    assert await estimate_of(waiting) is None


async def test_the_last_node_can_fail_and_be_retried(world: World, waiting: FrontEnd) -> None:
    for _ in range(3):
        await world.advance("in-production")
    await world.advance("in-production", result="FAILED", reason="网点尚未收到卡片")
    before = await waiting.status()

    await world.advance("in-production")

    assert fault(before) == ("APPLICATION_OPEN", None)
    assert (await waiting.status())["state"] == "SEALED"


@pytest.mark.parametrize("persona", ["active", "sealed", "lost", "cancelled"])
async def test_keeps_showing_a_production_that_is_over(world: World, persona: str) -> None:
    citizen = await world.enter(persona)

    answer = await citizen.progress()

    assert [node["node"] for node in answer["nodes"]] == list(NODES)
    assert {node["result"] for node in answer["nodes"]} == {"DONE"}
    assert answer["cardNumber"] == citizen.person.card_number


# --- what to do next -----------------------------------------------------------------------

NEXT = """{ productionProgress { ... on ProductionProgress {
    nextStep { service message phone } } } }"""


async def next_step(citizen: FrontEnd) -> Any:
    return as_read((await citizen.ask(NEXT))["nextStep"])


@pytest.mark.parametrize("channel", ChannelId)
async def test_tells_what_to_do_when_there_is_something_to_do(
    world: World, channel: ChannelId
) -> None:
    waiting = await world.enter("in-production", channel.value)
    found = [await next_step(waiting)]
    for result in ({"result": "FAILED", "reason": "照片未能打印"}, {}):
        await world.advance("in-production", **result)
        found.append(await next_step(waiting))
    await world.make_card("in-production")
    found.append(await next_step(waiting))
    with english(waiting):
        in_english = await next_step(waiting)

    assert [step and (step["service"], step["phone"]) for step in found] == [
        None,
        (None, "028-12333"),
        None,
        ("ACTIVATE_CARD", None),
    ]
    assert found[3]["message"] == "请持身份证到领卡网点领卡，领取后请激活。"
    assert in_english["message"] == (
        "Collect the card at its outlet with your ID card, then activate it."
    )


async def test_what_is_to_be_corrected_is_corrected_under_production_progress(
    world: World, waiting: FrontEnd
) -> None:
    await world.advance("in-production", result="NEEDS_CORRECTION", corrections=["portrait"])

    assert await next_step(waiting) == {
        "service": "PRODUCTION_PROGRESS",
        "message": "请在「制卡进度查询」中更正，制卡随即继续。",
        "phone": None,
    }


async def test_while_a_change_is_confirmed_there_is_only_to_wait(
    world: World, waiting: FrontEnd
) -> None:
    """Correcting would be refused meanwhile."""
    await fail_issuer(world, "/orders/outlets", "BUSY")
    number = (await waiting.progress())["applicationNumber"]
    await waiting.do(
        "changePickupOutlet",
        applicationNumber=number,
        districtCode="510105",
        outletCode=OUTLET_OF_OTHER_DISTRICT,
    )
    await world.advance("in-production", result="NEEDS_CORRECTION", corrections=["portrait"])

    step = await next_step(waiting)

    assert (step["service"], step["phone"]) == (None, None)
    assert step["message"] == "您提交的变更正在由制卡中心确认，结果将短信告知。"


async def test_who_has_not_collected_the_card_in_time_is_told_whom_to_call(
    world: World, waiting: FrontEnd
) -> None:
    await world.make_card("in-production")
    with later(days=92):
        await waiting.sign_in()
        step = await next_step(waiting)

    assert (step["service"], step["phone"]) == ("ACTIVATE_CARD", "028-12333")
    assert "领取期限已过" in step["message"]


async def test_after_a_cancelled_reissue_it_is_about_the_card_that_there_is(world: World) -> None:
    citizen = await world.enter("sealed")
    await citizen.do(
        "reportLoss", phone=citizen.person.phone, code=await citizen.code("REPORT_LOSS")
    )
    with later(seconds=61):
        code = await citizen.code("REISSUE_CARD")
        given = reissue_of(citizen.person, code=code, outletCode="SAMPLE-510104-2")
        number = (await citizen.do("reissueCard", "applicationNumber", **given))[
            "applicationNumber"
        ]
        await world.application.worker.drained()
        await citizen.do("cancelApplication", applicationNumber=number)
        await world.application.worker.drained()
        lost = await next_step(citizen)
    with later(seconds=122):
        await citizen.do(
            "cancelLoss",
            phone=citizen.person.phone,
            cardNumber=citizen.person.card_number,
            code=await citizen.code("CANCEL_LOSS"),
        )
        sealed = await next_step(citizen)

    assert lost["service"] == "REISSUE_CARD"
    assert sealed["service"] == "ACTIVATE_CARD"
    assert "网点" not in sealed["message"]


async def test_after_a_closed_order_it_is_a_service_that_does_not_refuse(world: World) -> None:
    waiting = await world.enter("in-production")
    await world.advance("in-production", event="ORDER_CLOSED", reason="CANNOT_BE_MADE")

    step = await next_step(waiting)

    assert step["service"] == "APPLY_CARD"
    form = await waiting.ask("{ applicationForm { __typename } }")
    assert form["__typename"] == "ApplicationForm"


@pytest.mark.parametrize(
    ("persona", "service"),
    [("active", None), ("lost", "REISSUE_CARD"), ("sealed", "ACTIVATE_CARD")],
)
async def test_once_production_is_over_it_follows_the_card(
    world: World, persona: str, service: str | None
) -> None:
    step = await next_step(await world.enter(persona))

    assert (step and step["service"]) == service


async def test_refuses_where_no_card_was_ever_made(world: World) -> None:
    citizen = await world.enter("no-card")
    before = await world.rows()

    answer = await citizen.progress()
    with english(citizen):
        in_english = await citizen.progress()

    assert fault(answer) == ("NO_APPLICATION", None)
    assert answer["message"].startswith("没有查到您的制卡记录。您可以申办社会保障卡")
    assert in_english["message"].startswith("You have no card in production. You can apply")
    assert await world.rows() == before


async def changes_of(citizen: FrontEnd) -> list[dict[str, Any]]:
    answer = await citizen.ask(
        "{ productionProgress { ... on ProductionProgress"
        " { changes { cursor node result at message } } } }"
    )
    changes: list[dict[str, Any]] = answer["changes"]
    return changes


async def estimate_of(citizen: FrontEnd) -> Any:
    answer = await citizen.ask(
        "{ productionProgress { ... on ProductionProgress"
        " { estimate { readyAround readyBy basedOn message } } } }"
    )
    return answer["estimate"]


async def complete_orders(world: World, count: int, first: int, entered_at_node: int = 0) -> None:
    """Order number n took a day and n hours at each node; all began a month ago.

    Those that were taken over from elsewhere were entered when some nodes were done already.
    """
    vault, now = world.application.dependencies.vault, world.application.clock()
    begun = now - 30 * DAY

    def work(unit: UnitOfWork) -> None:
        writes = unit.writes
        writes.see_each_other = True
        for number in range(count):
            person = f"51010419900101{first + number:03d}X"
            citizen = citizens.register(writes, vault, now, name="样本", number=person, phone=None)
            application = applications.accept(
                writes,
                vault,
                begun,
                citizen_id=citizen.id,
                kind=ApplicationKind.APPLY,
                form="{}",
                number=f"PAST{first + number}",
            )
            order = orders.place(
                writes,
                begun + entered_at_node * (DAY + number * HOUR),
                citizen_id=citizen.id,
                application=application,
                bank_code="SAMPLE-ICBC",
                outlet_code="SAMPLE-510104-1",
            )
            each = DAY + number * HOUR
            states = [
                NodeState(node, NodeResult.DONE, begun + node.position * each, None)
                for node in orders.NODES
            ]
            orders.set_nodes(writes, order, states)

    await change(world, work)
