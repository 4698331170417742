"""通知: the inbox of all that was sent, its read marks, and what citizens are told of others' acts."""

from typing import Any

import pytest

from core.citizens import Choice, Notice, notification_settings
from core.messaging import inbox
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import english, fault, later, notices, person_id
from tests.services.test_issuer_events import card_event, node_result, outcomes
from tests.services.test_notices import messages, report_loss
from tests.units import change

CHANNELS = ("WECHAT", "UNIONPAY", "PING_AN")
PAGE = """query($first: Int! = 20, $after: String) { notices(first: $first, after: $after) {
  edges { cursor node { id notice title text concernsSafety at readAt } }
  pageInfo { hasNextPage hasPreviousPage startCursor endCursor } unreadCount } }"""
SIGNATURE = "【成都人社】"
MARK = (
    "mutation($i: MarkNoticesReadInput!)"
    f" {{ markNoticesRead(input: $i) {{ __typename {REFUSAL} }} }}"
)


async def page(citizen: FrontEnd, **given: Any) -> Any:
    return await citizen.ask(PAGE, **given)


async def nodes(citizen: FrontEnd, **given: Any) -> list[Any]:
    return [edge["node"] for edge in (await page(citizen, **given))["edges"]]


async def kinds(citizen: FrontEnd) -> list[str]:
    return [node["notice"] for node in await nodes(citizen)]


async def all_sms(citizen: FrontEnd) -> list[str]:
    return [sms["text"] for sms in await citizen.inbox() if sms["purpose"] is None]


# --- the inbox -----------------------------------------------------------------------------


@pytest.mark.parametrize("channel", CHANNELS)
async def test_everything_that_was_sent_is_there(world: World, channel: str) -> None:
    citizen = await world.enter("active", channel)
    await report_loss(citizen)

    found = await page(citizen)
    with english(citizen):
        in_english = (await nodes(citizen))[0]

    shown = [edge["node"] for edge in found["edges"]]
    first = "NEW_BINDING" if channel == "WECHAT" else "FIRST_SIGN_IN"
    assert [node["notice"] for node in shown] == ["LOSS_REPORTED", first]
    assert [SIGNATURE + node["text"] for node in shown] == await all_sms(citizen)
    assert shown[0]["title"] == "挂失成功"
    assert all(node["concernsSafety"] and node["readAt"] is None for node in shown)
    assert shown[0]["at"] >= shown[1]["at"]
    assert found["unreadCount"] == 2
    assert in_english["title"] == "Loss reported"
    assert in_english["text"] == (
        "Your social security card is reported lost. Cancel the loss if you have found it, or request "
        "a reissue. If this was not you, call 028-12333."
    )


async def test_what_was_switched_off_is_there_too(world: World) -> None:
    citizen = await world.enter("in-production")
    owner, now = await person_id(world, citizen.person), world.application.clock()
    chosen = {Notice.CARD_READY: Choice(sms=False, channel=False)}
    await change(world, lambda unit: notification_settings.save(unit.writes, owner, chosen, now))

    await world.make_card("in-production")

    assert not any("已制好" in text for text in await all_sms(citizen))
    ready = (await nodes(citizen))[0]
    assert ready["notice"] == "CARD_READY"
    assert "领取地点：示例网点" in ready["text"]


async def test_the_initial_password_is_in_the_sms_only(world: World) -> None:
    citizen = await world.enter("sealed")
    answer = await citizen.do(
        "activateCard",
        phone=citizen.person.phone,
        cardNumber=citizen.person.card_number,
        code=await citizen.code("ACTIVATE_CARD"),
    )

    assert answer["__typename"] == "CardActivated"
    assert "初始服务密码为" in (await notices(citizen))[0]
    shown = (await nodes(citizen))[0]
    assert (shown["notice"], "密码" in shown["text"]) == ("CARD_ACTIVATED", False)
    assert "初始服务密码" not in str(await messages(world, citizen.person))


async def test_walks_from_page_to_page(world: World, active: FrontEnd) -> None:
    owner, now = await person_id(world, active.person), world.application.clock()

    def add(unit: Any) -> None:
        for number in range(5):
            inbox.add(unit.writes, owner, Notice.CARD_READY, None, now + number)

    await change(world, add)
    whole = await page(active)

    walked, after = [], None
    while True:
        found = await page(active, first=2, after=after)
        assert found["pageInfo"]["hasPreviousPage"] is (after is not None)
        walked += found["edges"]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break

    assert len(whole["edges"]) == 6
    assert walked == whole["edges"]
    assert found["unreadCount"] == 6


async def test_shows_and_marks_nobody_elses(world: World, active: FrontEnd) -> None:
    theirs = await page(active)
    other = await world.enter("lost")

    assert await kinds(other) == ["FIRST_SIGN_IN"]
    assert await nodes(other, after=theirs["edges"][0]["cursor"]) == []
    stolen = theirs["edges"][0]["node"]["id"]
    assert (await other.ask(MARK, i={"ids": [stolen]}))["__typename"] == "NoticesRead"
    assert (await page(active))["unreadCount"] == 1
    assert (await page(other))["unreadCount"] == 1


@pytest.mark.parametrize("channel", CHANNELS)
async def test_marks_some_and_then_all(world: World, channel: str) -> None:
    citizen = await world.enter("active", channel)
    await report_loss(citizen)
    newest = (await nodes(citizen))[0]["id"]

    some = await citizen.ask(MARK, i={"ids": [newest, newest, "0", "x"]})
    marked = await nodes(citizen)
    again = await citizen.ask(MARK, i={"ids": [newest]})
    unread = (await page(citizen))["unreadCount"]
    everything = await citizen.ask(MARK, i={})

    assert {some["__typename"], again["__typename"], everything["__typename"]} == {"NoticesRead"}
    assert [node["readAt"] is not None for node in marked] == [True, False]
    assert unread == 1
    last = await page(citizen)
    assert last["unreadCount"] == 0
    assert last["edges"][0]["node"]["readAt"] == marked[0]["readAt"]


async def test_before_the_person_is_known_there_are_none(world: World) -> None:
    visitor = world.front_end("lost", "WECHAT")
    await visitor.sign_in()
    before = await world.rows()

    found = await page(visitor)
    refused = await visitor.ask(MARK, i={})

    assert (found["edges"], found["unreadCount"]) == ([], 0)
    assert fault(refused) == ("NOT_BOUND", None)
    assert await world.rows() == before


@pytest.mark.parametrize("ids", [[], ["1"] * 101])
async def test_refuses_to_mark_too_few_or_too_many(
    world: World, active: FrontEnd, ids: list[str]
) -> None:
    before = await world.rows()

    answer = await active.ask(MARK, i={"ids": ids})

    assert fault(answer) == ("INVALID_FORMAT", "ids")
    assert await world.rows() == before


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"first": 0}, "first"),
        ({"first": 101}, "first"),
        ({"after": ""}, "after"),
        ({"after": "bm90aWNlOjA="}, "after"),
        ({"after": "notice:1"}, "after"),
        ({"after": "bm90aWNlOjk5OTk5OTk5OTk5OTk5OTk5OTk="}, "after"),
    ],
)
async def test_refuses_a_page_that_cannot_be(
    active: FrontEnd, given: dict[str, Any], field: str
) -> None:
    reply = (await active.post(PAGE, given)).json()

    assert reply["errors"][0]["extensions"]["code"] == "INVALID_FORMAT"
    assert reply["errors"][0]["extensions"]["field"] == field


async def test_is_kept_as_long_as_the_rest(world: World, active: FrontEnd) -> None:
    days = world.application.dependencies.settings.retention_days
    owner, kept = await person_id(world, active.person), list[int]()

    for later_on in (days - 1, days + 1):
        with later(days=later_on):
            await world.application.scheduler.run_due()
        rows = (await world.rows("notices"))["notices"]
        kept.append(sum(row.subject_id == owner for row in rows))

    assert kept == [1, 0]


# --- what others do ------------------------------------------------------------------------


async def silence(world: World, citizen: FrontEnd) -> None:
    """As if the citizen had switched off everything before it became one of safety."""
    owner, now = await person_id(world, citizen.person), world.application.clock()
    chosen = dict.fromkeys(Notice, Choice(sms=False, channel=False))
    await change(world, lambda unit: notification_settings.save(unit.writes, owner, chosen, now))


@pytest.mark.parametrize(
    ("persona", "event", "kind", "said"),
    [
        ("active", "TEMPORARY_LOSS", "TEMPORARILY_LOST", "已通过电话临时挂失"),
        ("active", "LOCK", "CARD_LOCKED", "应用已锁定"),
        ("locked", "UNLOCK", "CARD_UNLOCKED", "应用锁定已解除"),
        ("active", "CANCEL", "CARD_CANCELLED", "已注销"),
        ("lost", "LOCK", "CARD_LOCKED", "应用已锁定"),
        ("sealed", "ACTIVATE", "CARD_ACTIVATED", "人社功能已激活"),
    ],
)
@pytest.mark.parametrize("channel", CHANNELS)
async def test_the_owner_hears_of_what_the_issuer_reports(
    world: World, channel: str, persona: str, event: str, kind: str, said: str
) -> None:
    citizen = await world.enter(persona, channel)
    await silence(world, citizen)

    answered = await outcomes(world, card_event(event, persona))

    assert answered == ["TAKEN"]
    assert (await kinds(citizen))[0] == kind
    (text, *_) = await notices(citizen)
    assert text.startswith(f"{SIGNATURE}您的社会保障卡")
    assert said in text


async def test_what_is_as_before_at_the_end_is_not_told(world: World) -> None:
    citizen = await world.enter("locked")

    await outcomes(world, card_event("UNLOCK", "locked"), card_event("LOCK", "locked"))

    assert (await kinds(citizen))[0] == "FIRST_SIGN_IN"


async def test_a_repeated_event_is_told_once(world: World, active: FrontEnd) -> None:
    event = card_event("LOCK", "active")

    await outcomes(world, event)
    await outcomes(world, event)

    assert (await kinds(active)).count("CARD_LOCKED") == 1


async def test_a_failed_node_is_told_with_its_name_and_not_with_the_reason(world: World) -> None:
    citizen = await world.enter("in-production")
    failed = node_result("MANUFACTURE", result="FAILED", reason="张三 照片模糊")

    await outcomes(world, failed)
    once = await notices(citizen)
    await outcomes(world, node_result("MANUFACTURE", result="FAILED", reason="照片模糊"))

    assert "未通过的环节：卡商制卡。" in once[0]
    assert "张三" not in once[0]
    assert await notices(citizen) == once
    assert (await kinds(citizen))[0] == "NODE_FAILED"
    with english(citizen):
        assert "The step: Manufacture." in (await nodes(citizen))[0]["text"]


@pytest.mark.parametrize("channel", ["UNIONPAY", "PING_AN"])
async def test_a_first_sign_in_by_a_channel_is_told_by_sms(world: World, channel: str) -> None:
    other = "PING_AN" if channel == "UNIONPAY" else "UNIONPAY"
    await world.enter("active", other)
    citizen = await world.enter("active", channel)
    told = [text for text in await all_sms(citizen) if "首次通过一个渠道登录" in text]

    await world.enter("active", channel)

    assert len(told) == 2
    assert {"UNIONPAY": "登录渠道：云闪付。", "PING_AN": "登录渠道：城市一账通。"}[channel] in told[
        0
    ]
    assert ("FIRST_SIGN_IN", channel) in [
        (kind, where) for where, kind in await messages(world, citizen.person)
    ]
    assert [text for text in await all_sms(citizen) if "首次通过一个渠道登录" in text] == told


async def enter_with(world: World, channel: str, device: str | None) -> FrontEnd:
    citizen = world.front_end("active", channel)
    citizen.headers = {} if device is None else {"X-Device-Key": device}
    key = dict(citizen.headers)
    answer = await citizen.sign_in()
    citizen.headers |= key
    if not answer["viewer"]["bound"]:
        bound = await citizen.bind(await citizen.code("BIND_CARD"))
        assert bound["__typename"] == "CardBound"
        citizen.headers |= key
    return citizen


@pytest.mark.parametrize("channel", CHANNELS)
async def test_a_new_device_is_told_in_the_app_only(world: World, channel: str) -> None:
    await enter_with(world, channel, "the phone at home")
    await enter_with(world, channel, "the phone at home")
    await enter_with(world, channel, None)
    citizen = await enter_with(world, channel, "somebody's other phone")
    shown = await kinds(citizen)

    await enter_with(world, channel, "somebody's other phone")

    assert shown.count("NEW_DEVICE") == 1
    assert await kinds(citizen) == shown
    assert (channel, "NEW_DEVICE") in await messages(world, citizen.person)
    assert not any("新设备" in text for text in await all_sms(citizen))


# --- cards that wait for collection --------------------------------------------------------


async def remind(world: World, **moved: int) -> None:
    with later(**moved):
        await world.application.scheduler.run_due()
        await world.application.worker.drained()


async def reminders(world: World) -> int:
    rows = (await world.rows("notices"))["notices"]
    return sum(row.notice == "CARD_WAITING" for row in rows)


@pytest.mark.parametrize("channel", CHANNELS)
async def test_a_card_that_waits_is_told_twice_before_it_goes_back(
    world: World, channel: str
) -> None:
    citizen = await world.enter("in-production", channel)
    await world.make_card("in-production")

    counted = []
    for days in (6, 7, 8, 84, 85, 86, 90, 91, 120):
        await remind(world, days=days, minutes=1)
        counted.append(await reminders(world))

    assert counted == [0, 1, 1, 1, 2, 2, 2, 2, 2]
    text = (await notices(citizen))[0]
    assert text.startswith(f"{SIGNATURE}您的社会保障卡已制好，尚未激活。")
    assert "领取地点：示例网点" in text


async def test_only_the_last_reminder_comes_where_the_first_was_missed(world: World) -> None:
    await world.enter("in-production")
    await world.make_card("in-production")

    await remind(world, days=86)

    assert await reminders(world) == 1


async def test_nobody_is_reminded_of_a_card_that_is_activated(world: World) -> None:
    citizen = await world.enter("in-production")
    await world.make_card("in-production")
    number = (await citizen.status())["cardNumber"]
    answer = await citizen.do(
        "activateCard",
        phone=citizen.person.phone,
        cardNumber=number,
        code=await citizen.code("ACTIVATE_CARD"),
    )

    await remind(world, days=8)

    assert answer["__typename"] == "CardActivated"
    assert await reminders(world) == 0


@pytest.mark.parametrize(
    ("chosen", "days", "told"),
    [
        ({"collection_reminder_days": 0}, 8, 0),
        ({"return_reminder_days": 0}, 86, 0),
        ({"collect_within_days": 0}, 8, 1),
        ({"collect_within_days": 0}, 15, 0),
        ({"collect_within_days": 5}, 8, 0),
    ],
)
async def test_the_reminders_are_as_the_operator_sets_them(
    world: World, chosen: dict[str, int], days: int, told: int
) -> None:
    await world.enter("in-production")
    await world.make_card("in-production")
    for name, value in chosen.items():
        object.__setattr__(world.application.dependencies.settings, name, value)

    await remind(world, days=days)

    assert await reminders(world) == told
