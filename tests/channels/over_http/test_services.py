"""Each of the ten services is reached through each channel, and each refusal can be read there."""

import re
from collections.abc import Awaitable, Callable
from string import Formatter
from typing import Any

import pytest

from core.kernel.refusals import BY_CODE, RefusalCode
from core.kernel.texts import Language, Text
from gateway.channels import CHANNELS
from tests.front_end import REFUSAL, FrontEnd, World, as_read
from tests.services import orders
from tests.services.parts import NEW_PHONE, application_of, keep_pictures, reissue_of

Visit = Callable[[World, FrontEnd], Awaitable[dict[str, Any]]]
CHANNEL_IDS = [kind.id.value for kind in CHANNELS]
INSURANCES = f"query($n: String!) {{ insurances(cardNumber: $n) {{ __typename {REFUSAL} }} }}"


async def _apply(world: World, citizen: FrontEnd) -> dict[str, Any]:
    await keep_pictures(world, citizen)
    form = application_of(citizen.person, code=await citizen.code("APPLY_CARD"))
    return await citizen.do("applyCard", **form)


async def _activate(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return await citizen.do("activateCard", **await _form(citizen, "ACTIVATE_CARD", card=True))


async def _report_loss(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return await citizen.do("reportLoss", **await _form(citizen, "REPORT_LOSS"))


async def _cancel_loss(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return await citizen.do("cancelLoss", **await _form(citizen, "CANCEL_LOSS", card=True))


async def _change_password(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return await citizen.do(
        "changePassword",
        oldPassword=citizen.person.service_password,
        newPassword="60318527",
        confirmPassword="60318527",
    )


async def _change_phone(world: World, citizen: FrontEnd) -> dict[str, Any]:
    code = await citizen.code("CHANGE_PHONE", NEW_PHONE)
    return await citizen.do("changePhone", newPhone=NEW_PHONE, code=code)


async def _change_contact(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return await citizen.do("changeContact", landline="028-86120000")


async def _transfer_in(world: World, citizen: FrontEnd) -> dict[str, Any]:
    found = await citizen.ask(INSURANCES, n=citizen.person.card_number)
    assert found["__typename"] == "Insurances", found
    form = await _form(citizen, "TRANSFER_IN", card=True)
    return await citizen.do("transferIn", insurances=["PENSION"], **form)


async def _reissue(world: World, citizen: FrontEnd) -> dict[str, Any]:
    form = reissue_of(citizen.person, code=await citizen.code("REISSUE_CARD"))
    return await citizen.do("reissueCard", **form)


async def _cancel_application(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return await citizen.do(
        "cancelApplication", applicationNumber=await orders.apply(world, citizen)
    )


async def _change_outlet(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return await citizen.do(
        "changePickupOutlet",
        applicationNumber=citizen.person.open_order,
        districtCode="510105",
        outletCode="SAMPLE-510105-1",
    )


async def _correct_application(world: World, citizen: FrontEnd) -> dict[str, Any]:
    await world.advance("in-production", result="NEEDS_CORRECTION", corrections=["postalCode"])
    return await citizen.do(
        "correctApplication", applicationNumber=citizen.person.open_order, postalCode="610041"
    )


async def _progress(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return await citizen.progress()


async def _status(world: World, citizen: FrontEnd) -> dict[str, Any]:
    return await citizen.status()


async def _form(citizen: FrontEnd, purpose: str, *, card: bool = False) -> dict[str, Any]:
    number = {"cardNumber": citizen.person.card_number} if card else {}
    return {"phone": citizen.person.phone, "code": await citizen.code(purpose), **number}


SERVICES: dict[str, tuple[str, Visit, str]] = {
    "申办": ("no-card", _apply, "CardApplied"),
    "激活": ("sealed", _activate, "CardActivated"),
    "挂失": ("active", _report_loss, "LossReported"),
    "解挂": ("lost", _cancel_loss, "LossCancelled"),
    "服务密码变更": ("active", _change_password, "PasswordChanged"),
    "信息变更 手机": ("active", _change_phone, "PhoneChanged"),
    "信息变更 其他": ("active", _change_contact, "ContactChanged"),
    "卡归属地转入": ("other-city", _transfer_in, "TransferredIn"),
    "补卡": ("lost", _reissue, "CardReissued"),
    "取消申请": ("no-card", _cancel_application, "ApplicationCancelled"),
    "更改领卡网点": ("in-production", _change_outlet, "PickupOutletChanged"),
    "更正申请": ("in-production", _correct_application, "ApplicationCorrected"),
    "制卡进度查询": ("in-production", _progress, "ProductionProgress"),
    "卡状态查询": ("active", _status, "CardStatus"),
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("channel", CHANNEL_IDS)
async def test_each_service_is_reached(world: World, channel: str, service: str) -> None:
    persona, visit, success = SERVICES[service]
    citizen = await world.enter(persona, channel)

    answer = await visit(world, citizen)

    assert answer["__typename"] == success, answer


@pytest.mark.parametrize("channel", CHANNEL_IDS)
async def test_who_has_no_card_is_told_so(world: World, channel: str) -> None:
    citizen = await world.enter("no-card", channel)

    status, loss = await _status(world, citizen), await _report_loss(world, citizen)

    assert (status["code"], loss["code"]) == ("NO_CARD", "NO_CARD")
    assert re.search("[\u4e00-\u9fff]", status["message"])


async def test_no_service_is_reached_before_the_person_is_known(world: World) -> None:
    """Only in WeChat can there be such a session. It is not even sent a code."""
    stranger = world.front_end("active", "WECHAT")
    await stranger.sign_in()
    before = await world.rows()

    sent = [
        await stranger.send_code(purpose)
        for purpose in ("REPORT_LOSS", "REISSUE_CARD", "TRANSFER_IN", "ACTIVATE_CARD")
    ]
    read = [await stranger.status(), await stranger.progress()]
    contact = await stranger.do("changeContact", landline="028-86120000")

    assert {answer["code"] for answer in (*sent, *read, contact)} == {"NOT_BOUND"}
    assert await world.rows() == before


# --- every refusal -------------------------------------------------------------------------


@pytest.mark.parametrize("code", RefusalCode)
def test_each_refusal_can_be_read_in_both_languages(code: RefusalCode) -> None:
    kind = BY_CODE[code]
    names = {name for text in (kind.text.zh, kind.text.en) for name in _names(text)}
    given: dict[str, Any] = dict.fromkeys(names, Text("某项。", "Something."))
    refusal = kind(**given)

    chinese, english = (
        as_read(refusal.message(language)) for language in (Language.ZH, Language.EN)
    )

    assert re.search("[\u4e00-\u9fff]", chinese)
    assert chinese[-1] in "。？！"
    assert english[0].isupper()
    assert english.rstrip()[-1] in ".?!"
    assert not set("{}") & set(chinese + english)


def _names(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}
