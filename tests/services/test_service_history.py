"""办理记录 service history: a Relay connection over one's own entries."""

import asyncio
import re
from typing import Any

import pytest

from core.audit import DONE, NEWEST, Action, AuditRecord, Entry
from core.issuer import IssuerEventType
from core.kernel.refusals import RefusalCode
from core.kernel.texts import Text
from core.production import NodeResult, ProductionNode
from gateway.schema.history_words import words_of
from tests.front_end import FrontEnd, World
from tests.services.parts import english, other_than, person_id
from tests.services.test_issuer_events import node_result, outcomes

PAGE = """query($first: Int! = 20, $after: String) { serviceHistory(first: $first, after: $after) {
  edges { cursor node { at channel action title viewedOnly result resultText } }
  pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


async def page(citizen: FrontEnd, **given: Any) -> Any:
    return await citizen.ask(PAGE, **given)


def nodes(found: Any) -> list[Any]:
    return [edge["node"] for edge in found["edges"]]


async def test_shows_when_which_channel_what_and_the_result(world: World, active: FrontEnd) -> None:
    code = await active.code("REPORT_LOSS")
    await active.do("reportLoss", phone=active.person.phone, code=other_than(code))
    await active.do("reportLoss", phone=active.person.phone, code=code)

    found = nodes(await page(active))

    told = [(one["title"], one["channel"], one["result"], one["resultText"]) for one in found]
    assert told[:3] == [
        ("挂失", "UNIONPAY", "DONE", "成功"),
        ("挂失", "UNIONPAY", "CODE_WRONG", "未成功：验证码不正确"),
        ("获取验证码", "UNIONPAY", "DONE", "成功"),
    ]
    assert found[0]["at"] >= found[1]["at"] >= found[2]["at"]
    assert not any(one["viewedOnly"] for one in found)
    assert found[-1]["channel"] is None


async def test_shows_what_was_viewed_within_a_second(world: World, active: FrontEnd) -> None:
    await active.status()
    await asyncio.sleep(1)

    newest = nodes(await page(active))[0]

    assert (newest["action"], newest["viewedOnly"]) == ("CARD_STATUS", True)


async def test_walks_from_page_to_page(world: World, active: FrontEnd) -> None:
    for postal_code in range(610000, 610005):
        await active.do("changeContact", residentialPostalCode=str(postal_code))
    whole = await page(active)

    walked, after = [], None
    while True:
        found = await page(active, first=2, after=after)
        assert found["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert found["pageInfo"]["endCursor"] == found["edges"][-1]["cursor"]
        walked += [edge for edge in found["edges"] if edge["node"]["action"] != "SERVICE_HISTORY"]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break

    assert len(whole["edges"]) >= 6
    assert walked == whole["edges"]


async def test_shows_nobody_elses(world: World, active: FrontEnd) -> None:
    """A cursor is a place in one's own history, whoever it came from."""
    await active.do("changeContact", residentialPostalCode="610000")
    cursor = (await page(active))["edges"][0]["cursor"]
    other = await world.enter("lost")

    found = nodes(await page(other)) + nodes(await page(other, after=cursor))

    assert "CHANGE_CONTACT" not in {one["action"] for one in found}


async def test_shows_no_access_record_of_others_in_the_same_batch(
    world: World, active: FrontEnd
) -> None:
    other = await world.enter("lost")
    writer, now = world.application.access_log, world.application.clock()
    mine, theirs = [await person_id(world, one.person) for one in (active, other)]
    writer.add(AuditRecord(mine, now, Action.RECEIPT, DONE, "UNIONPAY", 1))
    writer.add(AuditRecord(theirs, now, Action.PICTURE, DONE, "UNIONPAY", 2))
    await writer.flush()

    found = nodes(await page(active))

    assert [one["action"] for one in found if one["viewedOnly"]] == ["RECEIPT"]


async def test_before_the_person_is_known_it_is_the_sessions(world: World) -> None:
    visitor = world.front_end("lost", "WECHAT")
    await visitor.sign_in()

    assert [one["action"] for one in nodes(await page(visitor))] == ["SIGN_IN"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"first": 0}, "first"),
        ({"first": -1}, "first"),
        ({"first": 101}, "first"),
        ({"after": ""}, "after"),
        ({"after": "entry:1"}, "after"),
        ({"after": "ZW50cnk6MA=="}, "after"),
        ({"after": "ZW50cnk6OTk5OTk5OTk5OQ=="}, "after"),
    ],
)
async def test_refuses_a_page_that_cannot_be(
    active: FrontEnd, given: dict[str, Any], field: str
) -> None:
    reply = (await active.post(PAGE, given)).json()

    assert reply["errors"][0]["extensions"]["code"] == "INVALID_FORMAT"
    assert reply["errors"][0]["extensions"]["field"] == field


async def test_needs_a_session(world: World) -> None:
    reply = (await world.front_end("active").post(PAGE)).json()

    assert reply["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


# --- in words ------------------------------------------------------------------------------


def entry(action: Action, result: str, details: str = "{}") -> Entry:
    return Entry(NEWEST, 0, action, result, "ISSUER", details)


EVENT, NODE = Action.ISSUER_EVENT, '{"node":"MANUFACTURE"}'


@pytest.mark.parametrize(
    ("told", "zh", "en"),
    [
        (entry(Action.REPORT_LOSS, "DONE"), "成功", "done"),
        (
            entry(Action.REPORT_LOSS, "CODE_WRONG"),
            "未成功：验证码不正确",
            "refused: The code is wrong",
        ),
        (entry(EVENT, "DONE", NODE), "「卡商制卡」已完成", "“Manufacture”: Done"),
        (entry(EVENT, "FAILED", NODE), "「卡商制卡」未通过", "“Manufacture”: Failed"),
        (
            entry(EVENT, "NOT FAILED", NODE),
            "已更正，此前为：「卡商制卡」未通过",
            "corrected; before: “Manufacture”: Failed",
        ),
        (entry(EVENT, "LOCK", '{"card":1}'), "应用锁定", "Locked"),
        (
            entry(EVENT, "CANCEL", '{"card":1,"reason":"NOT_COLLECTED"}'),
            "卡片注销（逾期未领取）",
            "Cancelled (not collected in time)",
        ),
        (entry(Action.TRANSFER_REFUSED, "NOT_IN_REGION"), "未受理", "not accepted"),
    ],
)
def test_a_result_is_in_words(told: Entry, zh: str, en: str) -> None:
    assert words_of(told) == Text(zh, en)


EVERY_RESULT = [
    *(entry(action, code.value) for action in (Action.APPLY_CARD,) for code in RefusalCode),
    *(
        entry(EVENT, f"{taken_back}{result}", f'{{"node":"{node}"}}')
        for taken_back in ("", "NOT ")
        for node in ProductionNode
        for result in NodeResult
    ),
    *(
        entry(EVENT, f"{taken_back}{kind}")
        for taken_back in ("", "NOT ")
        for kind in IssuerEventType
    ),
    *(entry(action, "A_PARTNERS_CODE") for action in Action if action is not EVENT),
]


def test_no_code_is_shown_as_words() -> None:
    shown = [words_of(told) for told in EVERY_RESULT]

    assert not [text for text in shown if re.search(r"[A-Z]{2,}", text.zh.replace("028", ""))]
    assert not [
        text
        for text in shown
        # The name of the menu, which is in Chinese on the screen.
        if re.search(r"[A-Z]{2,}_|[一-鿿{}]", text.en.replace("微服务 → 社保查询", ""))
    ]
    assert not [action for action in Action if not (action.text.zh and action.text.en)]


@pytest.mark.parametrize("channel", ["WECHAT", "UNIONPAY", "PING_AN"])
async def test_what_the_issuer_reports_is_told_in_words(world: World, channel: str) -> None:
    citizen = await world.enter("in-production", channel)
    await outcomes(world, node_result("MANUFACTURE", result="FAILED", reason="照片模糊"))
    await outcomes(world, node_result("MANUFACTURE"))

    zh = [one["resultText"] for one in nodes(await page(citizen))]
    with english(citizen):
        en = [one["resultText"] for one in nodes(await page(citizen))]

    assert zh[:2] == ["「卡商制卡」已完成", "「卡商制卡」未通过"]
    assert [one for one in en if "Manufacture" in one] == [
        "“Manufacture”: Done",
        "“Manufacture”: Failed",
    ]
