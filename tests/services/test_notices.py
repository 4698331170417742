"""通知: what a citizen is told, by which ways, and what they can choose of it."""

import re
from typing import Any

import pytest

from core.citizens import Choice, Notice, notification_settings
from sandbox.personas import Persona
from tests.front_end import FrontEnd, World
from tests.services.parts import english, fault, later, notices, person_id, problems
from tests.units import change

SETTINGS = "items { notice title sms smsRequired channel channels }"
SAFETY = [
    "LOSS_REPORTED",
    "LOSS_CANCELLED",
    "LOSS_LAPSED",
    "PASSWORD_CHANGED",
    "PHONE_CHANGED",
    "NEW_BINDING",
    "BINDING_ENDED",
    "APPLICATION_CLOSED",
    "SERVICES_ENDED",
]


async def settings_of(citizen: FrontEnd) -> dict[str, dict[str, Any]]:
    answer = await citizen.ask(
        f"{{ notificationSettings {{ ... on NotificationSettings {{ {SETTINGS} }} }} }}"
    )
    return {item["notice"]: item for item in answer["items"]}


async def choose(citizen: FrontEnd, *settings: dict[str, Any]) -> dict[str, Any]:
    return await citizen.do(
        "changeNotificationSettings", f"at settings {{ {SETTINGS} }}", settings=list(settings)
    )


async def messages(world: World, person: Persona) -> list[tuple[str, str]]:
    """Channel and notice of what the platforms delivered, newest first."""
    await world.application.worker.drained()
    listed = (await world.http.get("/sandbox/messages")).json()
    return [
        (message["channel"], message["template"].removeprefix("sandbox-").upper())
        for message in listed
        if message["persona"] == person.id
    ]


async def report_loss(citizen: FrontEnd) -> None:
    answer = await citizen.do(
        "reportLoss", phone=citizen.person.phone, code=await citizen.code("REPORT_LOSS")
    )
    assert answer["__typename"] == "LossReported"


async def test_everything_is_on_where_nothing_was_chosen(active: FrontEnd) -> None:
    settings = await settings_of(active)
    with english(active):
        in_english = await settings_of(active)

    assert list(settings) == [notice.value for notice in Notice]
    assert [name for name, item in settings.items() if item["smsRequired"]] == SAFETY
    assert all(item["sms"] and item["channel"] for item in settings.values())
    assert settings["CARD_READY"] == {
        "notice": "CARD_READY",
        "title": "可领卡",
        "sms": True,
        "smsRequired": False,
        "channel": True,
        "channels": ["WECHAT", "UNIONPAY", "PING_AN"],
    }
    assert in_english["CARD_READY"]["title"] == "Card ready"


async def test_what_concerns_safety_goes_into_every_bound_channel(world: World) -> None:
    citizen = await world.enter("active", "UNIONPAY")
    await world.enter("active", "WECHAT")

    await report_loss(citizen)

    assert (await notices(citizen))[0].startswith("【成都人社】您的社会保障卡已正式挂失。")
    told = await messages(world, citizen.person)
    assert sorted(told[:2]) == [("UNIONPAY", "LOSS_REPORTED"), ("WECHAT", "LOSS_REPORTED")]


async def test_the_rest_goes_into_the_channel_in_use(world: World) -> None:
    waiting = await world.enter("in-production", "WECHAT")
    await world.enter("in-production", "UNIONPAY")

    await world.make_card("in-production")

    told = await messages(world, waiting.person)
    assert [sent for sent in told if sent[1] == "CARD_READY"] == [("UNIONPAY", "CARD_READY")]


async def test_who_left_the_channel_in_use_is_told_in_the_one_bound_last(world: World) -> None:
    waiting = await world.enter("in-production", "UNIONPAY")
    await world.enter("in-production", "PING_AN")
    await world.enter("in-production", "WECHAT")
    left = await world.http.post("/sandbox/wechat/unfollow", json={"persona": "in-production"})

    await world.make_card("in-production")

    assert left.status_code == 200, left.text
    told = await messages(world, waiting.person)
    assert [sent for sent in told if sent[1] == "CARD_READY"] == [("PING_AN", "CARD_READY")]


async def test_a_message_has_the_platforms_own_form(world: World) -> None:
    citizen = await world.enter("active", "WECHAT")

    await report_loss(citizen)

    await world.application.worker.drained()
    message = (await world.http.get("/sandbox/messages")).json()[0]
    assert message["template"] == "sandbox-loss_reported"
    assert message["values"] | {"time": ""} == {
        "event": "挂失成功",
        "time": "",
        "text": "您的社会保障卡已正式挂失。如已找回请办理解挂，未找回请补卡。",
        "advice": "如非本人操作，请拨打 028-12333。",
    }
    assert re.fullmatch(r"20\d\d年\d\d月\d\d日 \d\d:\d\d", message["values"]["time"])


@pytest.mark.parametrize(("sms", "channel"), [(False, True), (True, False), (False, False)])
async def test_a_card_that_is_ready_is_told_as_the_person_chose(
    world: World, sms: bool, channel: bool
) -> None:
    waiting = await world.enter("in-production")

    answer = await choose(waiting, {"notice": "CARD_READY", "sms": sms, "channel": channel})
    await world.make_card("in-production")

    chosen = {item["notice"]: item for item in answer["settings"]["items"]}
    assert chosen == await settings_of(waiting)
    assert (chosen["CARD_READY"]["sms"], chosen["CARD_READY"]["channel"]) == (sms, channel)
    assert bool(await notices(waiting)) is sms
    assert (("UNIONPAY", "CARD_READY") in await messages(world, waiting.person)) is channel


async def test_a_message_about_safety_can_be_switched_off_but_not_its_sms(
    world: World, active: FrontEnd
) -> None:
    await choose(active, {"notice": "LOSS_REPORTED", "channel": False})

    await report_loss(active)

    assert (await notices(active))[0].startswith("【成都人社】您的社会保障卡已正式挂失。")
    assert ("UNIONPAY", "LOSS_REPORTED") not in await messages(world, active.person)


async def test_a_choice_for_one_notice_leaves_the_others_alone(
    world: World, active: FrontEnd
) -> None:
    await choose(active, {"notice": "CARD_READY", "sms": False, "channel": False})

    await report_loss(active)

    assert (await notices(active))[0].startswith("【成都人社】您的社会保障卡已正式挂失。")
    assert ("UNIONPAY", "LOSS_REPORTED") in await messages(world, active.person)


async def test_the_sms_of_safety_goes_out_whatever_was_stored(
    world: World, active: FrontEnd
) -> None:
    """The notice may have become one of safety after the person chose."""
    owner, now = await person_id(world, active.person), world.application.clock()

    chosen = {Notice.LOSS_REPORTED: Choice(sms=False)}
    await change(world, lambda unit: notification_settings.save(unit.writes, owner, chosen, now))

    await report_loss(active)

    assert (await notices(active))[0].startswith("【成都人社】您的社会保障卡已正式挂失。")


async def test_refuses_to_silence_what_concerns_safety(world: World, active: FrontEnd) -> None:
    before = await world.rows()

    one = await choose(active, {"notice": "PASSWORD_CHANGED", "sms": False})
    many = await choose(
        active,
        {"notice": "CARD_READY", "sms": False},
        {"notice": "NEW_BINDING", "sms": False, "channel": False},
        {"notice": "PHONE_CHANGED", "sms": False},
    )
    with english(active):
        in_english = await choose(active, {"notice": "PASSWORD_CHANGED", "sms": False})

    assert fault(one) == ("SMS_REQUIRED", "settings.0.sms")
    assert one["message"] == (
        "「服务密码已修改」关系到您的卡和账户安全，短信提醒不能关闭；渠道消息可以关闭。"
    )
    assert in_english["message"].startswith("SMS for “Service password changed” protects")
    assert problems(many) == [
        ("settings.1.sms", "SMS_REQUIRED"),
        ("settings.2.sms", "SMS_REQUIRED"),
    ]
    assert await world.rows() == before


@pytest.mark.parametrize("chosen", [[], [{"notice": "CARD_READY"}]])
async def test_refuses_a_change_of_nothing(
    world: World, active: FrontEnd, chosen: list[dict[str, Any]]
) -> None:
    before = await world.rows()

    answer = await choose(active, *chosen)

    assert fault(answer) == ("NOTHING_TO_CHANGE", "settings")
    assert await world.rows() == before


async def test_refuses_somebody_who_is_not_known_yet(world: World) -> None:
    stranger = world.front_end("active", "WECHAT")
    await stranger.sign_in()
    before = await world.rows()

    shown = await stranger.ask(
        "{ notificationSettings { __typename ... on Refusal { code field } } }"
    )
    answer = await choose(stranger, {"notice": "CARD_READY", "sms": False})

    assert shown == {"__typename": "Refusal", "code": "NOT_BOUND", "field": None}
    assert fault(answer) == ("NOT_BOUND", None)
    assert await world.rows() == before


async def test_the_choice_is_the_persons_in_every_channel(world: World) -> None:
    in_unionpay = await world.enter("active", "UNIONPAY")
    in_wechat = await world.enter("active", "WECHAT")
    someone_else = await world.enter("lost")

    await choose(in_unionpay, {"notice": "CARD_READY", "sms": False})

    assert (await settings_of(in_wechat))["CARD_READY"]["sms"] is False
    assert (await settings_of(someone_else))["CARD_READY"]["sms"] is True


async def test_of_two_choices_for_one_notice_the_later_holds(active: FrontEnd) -> None:
    await choose(
        active,
        {"notice": "CARD_READY", "sms": False},
        {"notice": "CARD_READY", "channel": False},
        {"notice": "CARD_READY", "sms": True},
    )

    ready = (await settings_of(active))["CARD_READY"]
    assert (ready["sms"], ready["channel"]) == (True, False)


async def test_the_account_that_was_bound_before_is_told_of_the_new_one(world: World) -> None:
    older = await world.enter("active", "WECHAT")
    newer = world.front_end("no-card", "WECHAT")
    await newer.sign_in()
    of_account, newer.person = newer.person, older.person

    with later(seconds=61):
        await newer.bind(await newer.code("BIND_CARD"))
        told_there = await messages(world, older.person)
        told_here = await messages(world, of_account)

    assert told_there.count(("WECHAT", "NEW_BINDING")) == 2
    assert told_here == [("WECHAT", "NEW_BINDING")]


async def test_no_notice_holds_a_full_number(world: World) -> None:
    citizen = await world.enter("active", "WECHAT")
    person = citizen.person

    await report_loss(citizen)
    with later(hours=2):
        await world.application.worker.drained()

    texts = await notices(citizen)
    texts += [str(message) for message in (await world.http.get("/sandbox/messages")).json()]
    assert len(texts) >= 4
    for number in (person.social_security_number, person.phone, person.card_number):
        assert number is not None
        # The account's own platform number is not the citizen's.
        assert not any(number in text for text in texts)
