"""申办草稿 application draft and 申办表单 application form, through HTTP."""

from typing import Any

from core.applications import RETENTION
from core.kernel.clock import DAY
from sandbox.personas import PERSONAS
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import (
    OUTLET_OF_OTHER_BANKS,
    application_of,
    english,
    history,
    keep_pictures,
    later,
    problems,
)

_FORM = (
    "{ applicationForm { __typename ... on ApplicationForm { missing portrait { confirmed url }"
    " fields { name label help type required defaultValue value problem { code message }"
    " options { code name } } codeField { name label help purpose phoneField } }"
    f" {REFUSAL} }} }}"
)
_FILLED = {
    name: value
    for name, value in application_of(PERSONAS["no-card"]).items()
    if name not in ("code", "socialInsuranceNumber")
}


async def test_offers_the_whole_form_in_the_guides_order(world: World) -> None:
    citizen = await world.enter("no-card")

    form = await citizen.ask(_FORM)
    with english(citizen):
        translated = await citizen.ask(_FORM)

    assert [field["label"] for field in form["fields"]] == [
        "邮政编码",
        "社保编号",
        "学历",
        "职业/工种",
        "开户银行",
        "是否使用金融代扣",
        "领卡方式",
        "领卡区县",
        "领卡网点",
        "手机号码",
        "国籍/地区",
        "证件类型",
        "证件发证机关",
        "证件号码",
        "证件截止有效期",
        "姓名",
        "性别",
        "民族",
        "出生日期",
    ]
    by_name = {field["name"]: field for field in form["fields"]}
    defaults = {
        name: field["defaultValue"] for name, field in by_name.items() if field["defaultValue"]
    }
    assert defaults == {
        "postalCode": "610000",
        "pickupMethod": "OUTLET",
        "nationalityCode": "CHN",
        "idDocumentType": "01",
    }
    for name, shown in (("nationalityCode", "中国"), ("idDocumentType", "居民身份证")):
        options = {option["code"]: option["name"] for option in by_name[name]["options"]}
        assert options[defaults[name]].startswith(shown)
    assert all(field["help"] for field in form["fields"])
    assert form["codeField"] == {
        "name": "code",
        "label": "验证码",
        "help": "6 位数字，点击“获取验证码”后由短信发送",
        "purpose": "APPLY_CARD",
        "phoneField": "phone",
    }
    assert by_name["pickupMethod"]["options"] == [{"code": "OUTLET", "name": "服务网点"}]
    assert by_name["genderCode"]["options"] == [
        {"code": "1", "name": "男性"},
        {"code": "2", "name": "女性"},
    ]
    assert len(by_name["ethnicityCode"]["options"]) >= 56
    assert [field["name"] for field in form["fields"] if not field["required"]] == [
        "socialInsuranceNumber"
    ]
    assert form["missing"] == ["portrait", "idDocuments", *_in_order_of_checks(_FILLED)]
    assert all(field["problem"] is None for field in form["fields"])
    assert translated["fields"][0]["label"] == "Postal code"


async def test_keeps_an_unfinished_form_and_tells_what_is_missing_and_wrong(world: World) -> None:
    citizen = await world.enter("no-card")

    saved = await _save(citizen, postalCode="610041", genderCode="2", idNumber="1", name="唐晓舟")
    form = await citizen.ask(_FORM)

    assert "educationCode" in saved["missing"]
    assert "postalCode" not in saved["missing"]
    assert problems(saved) == [("idNumber", "INVALID_ID_NUMBER")]
    values = {field["name"]: field["value"] for field in form["fields"] if field["value"]}
    assert values == {
        "postalCode": "610041",
        "genderCode": "2",
        "idNumber": "1",
        "name": "唐晓舟",
    }
    wrong = {field["name"]: field["problem"] for field in form["fields"] if field["problem"]}
    assert {name: problem["code"] for name, problem in wrong.items()} == {
        "idNumber": "INVALID_ID_NUMBER"
    }
    assert (await history(world, citizen.person))[-1] == "SAVE_DRAFT"


async def test_offers_the_outlets_of_the_chosen_district_and_bank(world: World) -> None:
    citizen = await world.enter("no-card")
    unchosen = await _options(citizen, "outletCode")

    await _save(citizen, districtCode=_FILLED["districtCode"], bankCode=_FILLED["bankCode"])
    offered = await _options(citizen, "outletCode")

    asked = await citizen.ask(
        "query($d: String!, $b: String) { outlets(districtCode: $d, bankCode: $b) { code name } }",
        d=_FILLED["districtCode"],
        b=_FILLED["bankCode"],
    )
    assert unchosen == []
    assert offered == asked
    codes = [option["code"] for option in offered]
    assert _FILLED["outletCode"] in codes
    assert OUTLET_OF_OTHER_BANKS not in codes


async def test_is_resumed_from_another_channel(world: World) -> None:
    at_first = await world.enter("no-card", "UNIONPAY")
    await _save(at_first, postalCode="610041", financialWithholding=False, idIssuer="x")
    afterwards = await world.enter("no-card", "WECHAT")

    saved = await _save(afterwards, educationCode="20", idIssuer=None)
    form = await afterwards.ask(_FORM)

    values = {field["name"]: field["value"] for field in form["fields"] if field["value"]}
    assert values == {
        "postalCode": "610041",
        "financialWithholding": "false",
        "educationCode": "20",
    }
    assert "idIssuer" in saved["missing"]


async def test_a_complete_form_can_be_sent_and_the_draft_is_gone(world: World) -> None:
    citizen = await world.enter("no-card")
    await keep_pictures(world, citizen)

    saved = await _save(citizen, **_FILLED)
    form = await citizen.ask(_FORM)
    applied = await citizen.do(
        "applyCard",
        **application_of(citizen.person, code=await citizen.code("APPLY_CARD")),
    )

    assert (saved["missing"], saved["problems"], form["missing"]) == ([], [], [])
    assert form["portrait"]["confirmed"] is True
    assert applied["__typename"] == "CardApplied"
    assert (await world.rows("application_drafts"))["application_drafts"] == []


async def test_is_forgotten_after_thirty_days(world: World) -> None:
    citizen = await world.enter("no-card")
    await _save(citizen, postalCode="610041")

    with later(seconds=RETENTION // 1000 - 3_600):
        await citizen.sign_in()
        on_the_last_day = await citizen.ask(_FORM)
    with later(seconds=RETENTION // 1000 + 5):
        await citizen.sign_in()
        afterwards = await citizen.ask(_FORM)

    assert RETENTION == 30 * DAY
    assert on_the_last_day["fields"][0]["value"] == "610041"
    assert all(field["value"] is None for field in afterwards["fields"])


async def test_keeps_no_personal_data_in_the_clear(world: World) -> None:
    citizen = await world.enter("no-card")

    await _save(citizen, **_FILLED)

    stored = repr(await world.rows("application_drafts"))
    assert citizen.person.name not in stored
    assert citizen.person.social_security_number not in stored


async def test_refuses_what_is_far_too_long(world: World) -> None:
    citizen = await world.enter("no-card")
    before = await world.rows()

    answer = await _save(citizen, name="唐" * 201, idIssuer="局" * 10_000, postalCode="610000")
    with english(citizen):
        in_english = await _save(citizen, name="唐" * 201)

    assert problems(answer) == [("idIssuer", "TOO_LONG"), ("name", "TOO_LONG")]
    assert in_english["message"] == "Name must have at most 200 characters."
    assert await world.rows() == before


async def _options(citizen: FrontEnd, name: str) -> list[dict[str, str]]:
    form = await citizen.ask(_FORM)
    found: list[dict[str, str]] = next(
        field["options"] for field in form["fields"] if field["name"] == name
    )
    return found


async def _save(citizen: FrontEnd, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await citizen.ask(
        "mutation($i: ApplicationDraftInput!) { saveApplicationDraft(input: $i) { __typename"
        " ... on ApplicationDraftSaved { missing problems { field code message } }"
        f" {REFUSAL} }} }}",
        i=fields,
    )
    return answer


def _in_order_of_checks(fields: dict[str, Any]) -> list[str]:
    """The choices and short fields first, then the person and the dates."""
    last = ["name", "idNumber", "birthDate", "idValidUntil"]
    return [name for name in fields if name not in last] + last
