"""Next steps over HTTP: what a refusal names is done, through every channel, and is not refused."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from core.kernel.card_services import CardService
from gateway.channels import CHANNELS
from sandbox.faults import SLOW_SECONDS
from sandbox.personas import PERSONAS
from tests.channels.over_http.test_services import SERVICES
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import (
    OUTLET_OF_OTHER_BANKS,
    application_of,
    english,
    fault,
    give_card_elsewhere,
    keep_pictures,
    later,
    reissue_of,
)

_CHANNEL_IDS = [kind.id.value for kind in CHANNELS]
_SERVICES = (
    "{ viewer { services { service available note"
    " reason { code message nextStep { service message phone } } } } }"
)
_FORM = (
    f"{{ applicationForm {{ __typename ... on ApplicationForm {{ note missing }} {REFUSAL} }} }}"
)

Try: TypeAlias = Callable[[FrontEnd], Awaitable[dict[str, Any]]]


async def _on_card(citizen: FrontEnd, mutation: str) -> dict[str, Any]:
    given = {"phone": citizen.person.phone, "cardNumber": "SAMPLE01X", "code": "000000"}
    return await citizen.do(mutation, **given)


TRIES: dict[str, Try] = {
    "APPLY_CARD": lambda one: one.do("applyCard", **application_of(one.person)),
    "ACTIVATE_CARD": lambda one: _on_card(one, "activateCard"),
    "REPORT_LOSS": lambda one: one.do("reportLoss", phone=one.person.phone, code="000000"),
    "CANCEL_LOSS": lambda one: _on_card(one, "cancelLoss"),
    "CHANGE_PASSWORD": lambda one: one.do(
        "changePassword",
        oldPassword="40917258",
        newPassword="60318527",
        confirmPassword="60318527",
    ),
    "TRANSFER_IN": lambda one: one.do(
        "transferIn",
        cardNumber="SAMPLE777",
        insurances=["PENSION"],
        phone=one.person.phone,
        code="000000",
    ),
    "REISSUE_CARD": lambda one: one.do("reissueCard", **reissue_of(one.person)),
    "PRODUCTION_PROGRESS": lambda one: one.progress(),
    "CARD_STATUS": lambda one: one.status(),
}
"""Each service with a well-formed form, so that only the citizen's state can be refused."""


async def _follow(world: World, citizen: FrontEnd, service: str) -> None:
    """Does the service as the page behind it would."""
    _, visit, success = SERVICES[CardService[service].text.zh]
    answer = await visit(world, citizen)
    assert answer["__typename"] == success, (service, answer)


async def _services(citizen: FrontEnd) -> list[dict[str, Any]]:
    services: list[dict[str, Any]] = (await citizen.ask(_SERVICES))["services"]
    return services


@pytest.mark.parametrize("channel", _CHANNEL_IDS)
@pytest.mark.parametrize("persona", PERSONAS)
async def test_each_next_step_of_each_persona_is_done(
    world: World, persona: str, channel: str
) -> None:
    citizen = await world.enter(persona, channel)
    await citizen.ask(_FORM)
    refused = {one["service"]: one["reason"] for one in await _services(citizen) if one["reason"]}
    before = await world.rows()

    for service, reason in refused.items():
        answer = await TRIES[service](citizen)
        shown = {name: answer[name] for name in ("code", "message", "nextStep")}
        assert shown == reason, service
        assert answer["message"].endswith(answer["nextStep"]["message"])
    assert await world.rows() == before

    steps = [reason["nextStep"] for reason in refused.values()]
    for step in steps:
        assert step["service"] or step["phone"] in step["message"]
    for service in sorted({step["service"] for step in steps if step["service"]}):
        await world.http.post("/sandbox/reset")
        await _follow(world, await world.enter(persona, channel), service)


# --- what is known of other regions ----------------------------------------------------------


async def _slow_registry(world: World, fault: str = "SLOW") -> None:
    given = {"partner": "card-registry", "path": "/cards", "fault": fault, "times": 9}
    response = await world.http.post("/sandbox/partners/fault", json=given)
    assert response.status_code == 200


@pytest.mark.parametrize("persona", ["other-city", "other-province"])
async def test_whoever_has_a_card_elsewhere_learns_it_before_the_first_picture(
    world: World, persona: str
) -> None:
    citizen = await world.enter(persona)
    before = await world.rows()
    first = await _by_service(citizen)

    form = await citizen.ask(_FORM)
    then = await _by_service(citizen)

    assert first["APPLY_CARD"]["available"]
    assert first["APPLY_CARD"]["note"].startswith("尚未核对您在其他地区")
    assert fault(form) == ("CARD_HELD_ELSEWHERE", None)
    assert form["nextStep"] == then["APPLY_CARD"]["reason"]["nextStep"]
    assert then["APPLY_CARD"]["reason"]["code"] == "CARD_HELD_ELSEWHERE"
    assert then["TRANSFER_IN"]["note"] is None
    after = await world.rows()
    assert len(after.pop("cards_elsewhere")) == 1
    assert before.pop("cards_elsewhere") == []
    assert after == before


async def test_the_registry_is_asked_once_a_day(world: World) -> None:
    citizen = await world.enter("no-card")
    await citizen.ask(_FORM)
    give_card_elsewhere(world, citizen.person)

    kept = await citizen.ask(_FORM)
    with later(hours=23):
        await citizen.enter()
        still = await citizen.ask(_FORM)
    with later(hours=24, minutes=1):
        await citizen.enter()
        viewer = await _by_service(citizen)
        asked = await citizen.ask(_FORM)

    assert [answer["__typename"] for answer in (kept, still)] == ["ApplicationForm"] * 2
    assert kept["note"] is None
    assert viewer["APPLY_CARD"]["note"]
    assert fault(asked) == ("CARD_HELD_ELSEWHERE", None)


async def test_what_is_submitted_is_checked_again(world: World) -> None:
    citizen = await world.enter("no-card")
    await citizen.ask(_FORM)
    await keep_pictures(world, citizen)
    give_card_elsewhere(world, citizen.person)
    code = await citizen.code("APPLY_CARD")
    before = await world.rows()

    answer = await citizen.do("applyCard", **application_of(citizen.person, code=code))

    assert fault(answer) == ("CARD_HELD_ELSEWHERE", None)
    assert answer["nextStep"]["service"] == "TRANSFER_IN"
    assert await world.rows() == before


@pytest.mark.parametrize("kind", ["SLOW", "ERROR", "BUSY"])
async def test_a_registry_that_does_not_answer_holds_nobody_up(world: World, kind: str) -> None:
    citizen = await world.enter("other-city")
    await _slow_registry(world, kind)
    before = await world.rows()
    begin = time.monotonic()

    form = await citizen.ask(_FORM)

    assert time.monotonic() - begin < SLOW_SECONDS
    assert form["__typename"] == "ApplicationForm"
    assert form["note"].startswith("尚未核对您在其他地区是否已有社会保障卡，提交时还会核对")
    assert await world.rows() == before


async def test_who_waits_for_a_slow_registry_gets_its_answer_control(world: World) -> None:
    """`applyCard` waits for it, and so would the form without its deadline."""
    citizen = await world.enter("other-city")
    await _slow_registry(world)
    begin = time.monotonic()

    answer = await citizen.do("applyCard", **application_of(citizen.person))

    assert time.monotonic() - begin >= SLOW_SECONDS
    assert fault(answer) == ("CARD_HELD_ELSEWHERE", None)


async def test_the_viewer_never_asks_the_registry(world: World) -> None:
    citizen = await world.enter("other-city")
    await _slow_registry(world)
    begin = time.monotonic()

    services = await _by_service(citizen)

    assert time.monotonic() - begin < SLOW_SECONDS
    assert services["APPLY_CARD"]["available"]
    assert services["TRANSFER_IN"]["note"]


async def test_nobody_who_has_a_card_makes_the_registry_asked(world: World) -> None:
    citizen = await world.enter("lost")
    await _slow_registry(world)
    begin = time.monotonic()

    form = await citizen.ask(_FORM)

    assert time.monotonic() - begin < SLOW_SECONDS
    assert fault(form) == ("CARD_HELD", None)
    assert form["nextStep"]["service"] == "REISSUE_CARD"


# --- single ways out -------------------------------------------------------------------------


async def test_a_phone_that_is_lost_is_changed_without_the_old_one(world: World) -> None:
    citizen = await world.enter("active")
    before = await world.rows()

    refused = await citizen.do("reportLoss", phone="19900008888", code="000000")

    assert fault(refused) == ("PHONE_NOT_BOUND", "phone")
    assert refused["nextStep"]["service"] == "CHANGE_INFORMATION"
    assert await world.rows() == before
    code = await citizen.code("CHANGE_PHONE", "19900008888")
    changed = await citizen.do("changePhone", newPhone="19900008888", code=code)
    assert changed["__typename"] == "PhoneChanged"
    code = await citizen.code("REPORT_LOSS", "19900008888")
    lost = await citizen.do("reportLoss", phone="19900008888", code=code)
    assert lost["__typename"] == "LossReported"


async def test_binding_with_another_phone_names_the_channels_that_need_none(world: World) -> None:
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()
    code = await citizen.code("BIND_CARD", "19900008888")
    before = await world.rows()

    refused = await citizen.bind(code, phone="19900008888")

    assert fault(refused) == ("IDENTITY_NOT_CONFIRMED", None)
    assert "请从云闪付或平安“城市一账通”进入，在「信息变更」中变更手机号码" in refused["message"]
    assert refused["nextStep"] == {
        "service": None,
        "message": "登记的号码已停用的，请从云闪付或平安“城市一账通”进入，在「信息变更」中变更手机号码；"
        "如有疑问请拨打 028-12333。",
        "phone": "028-12333",
    }
    assert await world.rows() == before
    for channel in ("UNIONPAY", "PING_AN"):
        await world.http.post("/sandbox/reset")
        citizen = await world.enter("active", channel)
        new = "19900008888"
        code = await citizen.code("CHANGE_PHONE", new)
        changed = await citizen.do("changePhone", newPhone=new, code=code)
        assert changed["__typename"] == "PhoneChanged"


async def test_a_reissue_names_outlets_of_the_cards_bank(world: World) -> None:
    citizen = await world.enter("lost")
    code = await citizen.code("REISSUE_CARD")
    before = await world.rows()

    given = reissue_of(citizen.person, outletCode=OUTLET_OF_OTHER_BANKS, code=code)
    answer = await citizen.do("reissueCard", **given)
    with english(citizen):
        translated = await citizen.do("reissueCard", **given)

    outlets = await citizen.ask(
        '{ outlets(districtCode: "510104", bankCode: "SAMPLE-ABC") { code name } }'
    )
    assert fault(answer) == ("OUTLET_DOES_NOT_SERVE_BANK", "outletCode")
    assert answer["message"] == (
        "所选网点不办理中国农业银行的社保卡，不能更换银行，请改选："
        f"{'、'.join(outlet['name'] for outlet in outlets)}。"
    )
    assert all(outlet["name"] in translated["message"] for outlet in outlets)
    assert await world.rows() == before
    given["outletCode"] = outlets[0]["code"]
    assert (await citizen.do("reissueCard", **given))["__typename"] == "CardReissued"


@pytest.mark.parametrize(
    ("field", "value", "served"),
    [("nationalityCode", "USA", "中国"), ("idDocumentType", "03", "居民身份证")],
)
async def test_other_documents_and_nationalities_hear_where_they_are_served(
    world: World, field: str, value: str, served: str
) -> None:
    citizen = await world.enter("no-card")
    await keep_pictures(world, citizen)
    code = await citizen.code("APPLY_CARD")
    before = await world.rows()

    answer = await citizen.do(
        "applyCard", **application_of(citizen.person, code=code, **{field: value})
    )

    assert fault(answer) == ("NOT_SERVED_ONLINE", field)
    assert f"线上申办目前只受理「{served}" in answer["message"]
    assert "请到社保卡服务网点办理。可拨打 028-12333 咨询。" in answer["message"]
    assert answer["nextStep"]["phone"] == "028-12333"
    assert await world.rows() == before


async def test_a_forgotten_password_is_told_whom_to_call(world: World, active: FrontEnd) -> None:
    given = {"newPassword": "60318527", "confirmPassword": "60318527"}

    wrong = [await active.do("changePassword", oldPassword="11112223", **given) for _ in range(5)]

    assert [fault(answer)[0] for answer in wrong] == ["PASSWORD_WRONG"] * 4 + ["PASSWORD_LOCKED"]
    for answer in wrong:
        assert answer["nextStep"]["phone"] == "028-12333"
        assert "忘记原密码的" in answer["message"]


async def test_a_repeated_request_has_the_same_next_step(active: FrontEnd) -> None:
    """A refusal that commits is stored under its key, with its next step."""
    document = (
        "mutation($i: ChangePasswordInput!) { changePassword(input: $i)"
        f" {{ __typename {REFUSAL} }} }}"
    )
    given = {
        "i": {
            "oldPassword": "11112223",
            "newPassword": "60318527",
            "confirmPassword": "60318527",
        }
    }

    answers = [
        (await active.post(document, given, **{"Idempotency-Key": "k"})).json()["data"]
        for _ in range(2)
    ]

    assert answers[0] == answers[1]
    assert answers[0]["changePassword"]["nextStep"]["phone"] == "028-12333"


async def _by_service(citizen: FrontEnd) -> dict[str, dict[str, Any]]:
    return {one["service"]: one for one in await _services(citizen)}
