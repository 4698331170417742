"""办理记录 service history: a Relay connection over one's own entries."""

import asyncio
from typing import Any

import pytest

from core.audit import DONE, Action, AuditRecord
from tests.front_end import FrontEnd, World
from tests.services.parts import other_than, person_id

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
