"""申办草稿 application draft and 申办表单 application form, through HTTP."""

from typing import Any

from core.applications import RETENTION
from core.kernel.clock import DAY
from sandbox.personas import PERSONAS
from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import (
    application_of,
    english,
    history,
    keep_pictures,
    later,
    problems,
)

_FORM = (
    "{ applicationForm { __typename ... on ApplicationForm { missing portrait { confirmed url }"
    " fields { name value source problem { code message } } }"
    f" {REFUSAL} }} }}"
)
_FILLED = {
    name: value
    for name, value in application_of(PERSONAS["no-card"]).items()
    if name not in ("code", "socialInsuranceNumber")
}
_NOT_KNOWN = {
    name: value
    for name, value in _FILLED.items()
    if name not in ("name", "idNumber", "genderCode", "birthDate", "phone")
}


async def test_lists_the_fields_of_the_form_with_what_is_missing(world: World) -> None:
    citizen = await world.enter("no-card")

    form = await citizen.ask(_FORM)
    described = await citizen.ask(
        "{ serviceForm(service: APPLY_CARD) { sections { operation fields { name } } } }"
    )

    names = [field["name"] for field in described["sections"][-1]["fields"]]
    assert [field["name"] for field in form["fields"]] == [n for n in names if n != "code"]
    assert form["missing"] == ["portrait", "idDocuments", *_in_order_of_checks(_NOT_KNOWN)]
    assert all(field["problem"] is None for field in form["fields"])


async def test_keeps_an_unfinished_form_and_tells_what_is_missing_and_wrong(world: World) -> None:
    citizen = await world.enter("no-card")

    saved = await _save(citizen, postalCode="610041", genderCode="2", idNumber="1", name="唐晓舟")
    form = await citizen.ask(_FORM)

    assert "educationCode" in saved["missing"]
    assert "postalCode" not in saved["missing"]
    assert problems(saved) == [("idNumber", "INVALID_ID_NUMBER")]
    assert _typed(form) == {
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


async def test_is_resumed_from_another_channel(world: World) -> None:
    at_first = await world.enter("no-card", "UNIONPAY")
    await _save(at_first, postalCode="610041", financialWithholding=False, idIssuer="x")
    afterwards = await world.enter("no-card", "WECHAT")

    saved = await _save(afterwards, educationCode="20", idIssuer=None)
    form = await afterwards.ask(_FORM)

    assert _typed(form) == {
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


async def test_tells_what_contradicts_the_number_before_the_document_is_chosen(
    world: World,
) -> None:
    citizen = await world.enter("no-card")

    number = citizen.person.social_security_number
    saved = await _save(citizen, birthDate="1990.1.2", idNumber=number)

    assert problems(saved) == [("birthDate", "BIRTH_DATE_MISMATCH")]


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
    assert _typed(afterwards) == {}


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


def _typed(form: dict[str, Any]) -> dict[str, str]:
    return {field["name"]: field["value"] for field in form["fields"] if field["source"] == "DRAFT"}


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
    return [name for name in fields if name not in last] + [name for name in last if name in fields]
