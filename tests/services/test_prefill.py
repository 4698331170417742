"""预填: what the platform vouched for and what the ID card says, never in place of what was typed."""

from dataclasses import replace
from typing import Any

import pytest

from core.applications import prefills
from core.imaging import ReadField, Side, can_read
from core.kernel.refusals import NotYours
from core.services.upload_id_document import must_be_own, without_misread_name
from core.unit_of_work import UnitOfWork
from gateway.app.factory import _READING_POOL
from sandbox.id_cards import photograph_of
from sandbox.personas import PERSONAS
from tests.front_end import REFUSAL, FrontEnd, World
from tests.id_documents.test_reading import NO_OCR
from tests.services.parts import application_of, fault, keep_pictures, later, person_id, problems
from tests.units import change

pytestmark = pytest.mark.slow


_UPLOAD = (
    "mutation($side: IdDocumentSide!, $file: Upload!) {"
    " uploadIdDocument(side: $side, file: $file) { __typename ... on IdDocumentUploaded {"
    f" accepted readFields {{ field value text confidence }} }} {REFUSAL} }} }}"
)
_TYPE = "mutation($input: ApplicationDraftInput!) { saveApplicationDraft(input: $input) { __typename } }"
_FORM = (
    "{ applicationForm { ... on ApplicationForm {"
    " missing fields { name value source suggestion { value text confidence } } } } }"
)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not read in time is not offered: other tests may have the machine."""
    monkeypatch.setattr("gateway.app.factory._READING_POOL", replace(_READING_POOL, seconds=200))


@pytest.fixture
def ocr() -> None:
    if not can_read():
        pytest.skip(NO_OCR)


@pytest.mark.parametrize("channel", ["WECHAT", "UNIONPAY", "PING_AN"])
async def test_fills_in_what_the_platform_vouched_for(world: World, channel: str) -> None:
    citizen = await world.enter("no-card", channel)

    form = await citizen.ask(_FORM)

    person = citizen.person
    assert {
        field["name"]: (field["value"], field["source"])
        for field in form["fields"]
        if field["value"]
    } == {
        "phone": (person.phone, "PLATFORM"),
        "idNumber": (person.social_security_number, "PLATFORM"),
        "name": (person.name, "PLATFORM"),
        "genderCode": (person.gender_code, "PLATFORM"),
        "birthDate": (f"{person.birth_date:%Y%m%d}", "PLATFORM"),
    }
    assert not {"phone", "idNumber", "name", "genderCode", "birthDate"} & set(form["missing"])
    assert (await world.rows("application_drafts"))["application_drafts"] == []


async def test_what_was_typed_stands_before_what_is_known_and_what_was_read(world: World) -> None:
    citizen = await world.enter("no-card")
    await _read_before(world, citizen, ethnicity_code="01", name="别人")

    await citizen.ask(_TYPE, input={"phone": "19912345678", "ethnicityCode": "03"})
    typed = await _fields(citizen)
    await citizen.ask(_TYPE, input={"phone": None, "ethnicityCode": ""})
    erased = await _fields(citizen)

    def given(fields: dict[str, Any], name: str) -> tuple[Any, Any]:
        return fields[name]["value"], fields[name]["source"]

    assert given(typed, "phone") == ("19912345678", "DRAFT")
    assert given(typed, "ethnicityCode") == ("03", "DRAFT")
    assert typed["ethnicityCode"]["suggestion"]["value"] == "01"
    assert given(typed, "name") == (citizen.person.name, "PLATFORM")
    assert typed["name"]["suggestion"]["value"] == "别人"
    assert given(erased, "phone") == (citizen.person.phone, "PLATFORM")
    assert given(erased, "ethnicityCode") == ("01", "DOCUMENT")


async def test_saving_a_draft_counts_what_was_filled_in(world: World) -> None:
    citizen = await world.enter("no-card")

    saved = await citizen.ask(
        'mutation { saveApplicationDraft(input: {postalCode: "610041"}) {'
        " ... on ApplicationDraftSaved { missing } } }"
    )

    assert "educationCode" in saved["missing"]
    assert not {"phone", "idNumber", "name", "genderCode", "birthDate"} & set(saved["missing"])


@pytest.mark.usefixtures("ocr")
async def test_offers_what_it_read_and_leaves_alone_what_was_typed(world: World) -> None:
    citizen = await world.enter("no-card")
    await citizen.ask(_TYPE, input={"idIssuer": "我自己写的机关"})

    front = await _upload(citizen, "PORTRAIT_SIDE")
    await _upload(citizen, "EMBLEM_SIDE")
    fields = await _fields(citizen)

    person = citizen.person
    read = {entry["field"]: (entry["value"], entry["text"]) for entry in front["readFields"]}
    assert read["idNumber"] == (person.social_security_number,) * 2
    assert read["ethnicityCode"] == ("01", "汉族")
    offered = {
        name: field["suggestion"]["value"] for name, field in fields.items() if field["suggestion"]
    }
    assert offered == {
        "ethnicityCode": "01",
        "idIssuer": "成都市公安局示例分局",
        "idValidUntil": "20400520",
    }
    assert (fields["idIssuer"]["value"], fields["idIssuer"]["source"]) == (
        "我自己写的机关",
        "DRAFT",
    )
    assert (fields["ethnicityCode"]["value"], fields["ethnicityCode"]["source"]) == (
        "01",
        "DOCUMENT",
    )
    assert fields["ethnicityCode"]["suggestion"]["text"] == "汉族"
    assert front["readFields"][0]["confidence"] > 0
    stored = repr(await world.rows("prefills"))
    assert person.social_security_number not in stored
    assert person.name not in stored


async def test_what_was_read_is_gone_once_applied(world: World) -> None:
    citizen = await world.enter("no-card")
    await _read_before(world, citizen)
    assert (await world.rows("prefills"))["prefills"] != []
    await keep_pictures(world, citizen)

    answer = await citizen.do(
        "applyCard",
        "applicationNumber",
        **application_of(citizen.person, code=await citizen.code("APPLY_CARD")),
    )

    assert answer["__typename"] == "CardApplied"
    assert (await world.rows("prefills"))["prefills"] == []


async def test_offers_what_both_sides_told(world: World) -> None:
    citizen = await world.enter("no-card")
    await _read_before(world, citizen)
    await _read_before(world, citizen, Side.EMBLEM_SIDE, id_issuer="成都市公安局")

    fields = await _fields(citizen)

    offered = {
        name: field["suggestion"]["value"] for name, field in fields.items() if field["suggestion"]
    }
    assert offered == {"ethnicityCode": "01", "idIssuer": "成都市公安局"}


async def test_what_was_read_is_forgotten_after_thirty_days(world: World) -> None:
    citizen = await world.enter("no-card")
    await _read_before(world, citizen)

    with later(days=29):
        await citizen.sign_in()
        in_time = await _fields(citizen)
    with later(days=30, seconds=1):
        await citizen.sign_in()
        after = await _fields(citizen)

    assert in_time["ethnicityCode"]["value"] == "01"
    assert (after["ethnicityCode"]["value"], after["ethnicityCode"]["source"]) == (None, None)


@pytest.mark.usefixtures("ocr")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_refuses_the_card_of_somebody_else(world: World) -> None:
    citizen = await world.enter("no-card")
    before = await world.rows()

    answer = await _upload(citizen, "PORTRAIT_SIDE", of="lost")

    assert fault(answer) == ("NOT_YOURS", "file")
    assert problems(answer) == [("file", "NOT_YOURS")]
    assert await world.rows() == before


async def test_without_the_extra_a_card_is_kept_all_the_same(world: World) -> None:
    citizen = await world.enter("no-card")
    object.__setattr__(world.application.dependencies, "reading_pool", None)

    answer = await _upload(citizen, "PORTRAIT_SIDE")

    assert (answer["accepted"], answer["readFields"]) == (True, [])
    assert all(field["suggestion"] is None for field in (await _fields(citizen)).values())


async def _read_before(
    world: World, citizen: FrontEnd, side: Side = Side.PORTRAIT_SIDE, **told: str
) -> None:
    owner, application = await person_id(world, citizen.person), world.application
    told = told or {"ethnicity_code": "01"}
    read = tuple(ReadField(name, value, 0.99) for name, value in told.items())

    async def save(unit: UnitOfWork) -> None:
        vault = application.dependencies.vault
        await prefills.save(unit.db, unit.writes, vault, owner, side, read, unit.now)

    await change(world, save)


async def _upload(citizen: FrontEnd, side: str, of: str = "no-card") -> dict[str, Any]:
    answer: dict[str, Any] = await citizen.upload(
        _UPLOAD, photograph_of(PERSONAS[of], side), side=side
    )
    return answer


async def _fields(citizen: FrontEnd) -> dict[str, Any]:
    return {field["name"]: field for field in (await citizen.ask(_FORM))["fields"]}


# --- a name that was misread ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "number", "kept"),
    [
        ("唐晓舟", "own", True),
        ("唐晓丹", "own", False),
        ("唐晓丹", None, False),
        ("王建国", "own", False),
        ("王建国", None, True),
    ],
)
def test_a_misread_name_is_not_offered(name: str, number: str | None, kept: bool) -> None:
    known = ("唐晓舟", "510107200209241451")
    own = [ReadField("id_number", known[1], 0.99)] if number else []
    read = (ReadField("name", name, 0.97), *own)

    must_be_own(*known, read)
    found = without_misread_name(*known, read)

    assert ("name" in {entry.name for entry in found}) is kept


@pytest.mark.parametrize("name", ["王建国", "唐晓丹"])
def test_name_and_number_of_another_person_are_refused(name: str) -> None:
    """The control: a name that looks misread does not hide another person's number."""
    read = (ReadField("name", name, 0.97), ReadField("id_number", "510107196501010017", 0.99))

    with pytest.raises(NotYours):
        must_be_own("唐晓舟", "510107200209241451", read)
