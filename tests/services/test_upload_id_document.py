"""上传身份证: both sides of the ID document, judged, straightened and confirmed, through HTTP."""

import io

import numpy as np
import pytest
from PIL import Image

from core.imaging import Side
from sandbox.id_cards import card_of, emblem_side, on_a_table, photograph_of, portrait_side
from sandbox.personas import PERSONAS
from tests.front_end import REFUSAL, FrontEnd, World
from tests.id_documents.hiding import BOXES as HIDDEN_BOXES
from tests.id_documents.hiding import sticky_note
from tests.services.parts import english, fault, history, later, problems

pytestmark = pytest.mark.slow

_DOCUMENT = (
    "mutation($side: IdDocumentSide!, $file: Upload!) {"
    " uploadIdDocument(side: $side, file: $file) { __typename ... on IdDocumentUploaded {"
    " side accepted recognisedSide url corners { x y } otherSide { side corners { x y } }"
    f" checks {{ code passed message measured atLeast atMost unit }} }} {REFUSAL} }} }}"
)
_CONFIRM_DOCUMENTS = (
    "mutation { confirmIdDocuments { __typename ... on IdDocumentsConfirmed { at }"
    f" {REFUSAL} }} }}"
)
_FORM = (
    "{ applicationForm { ... on ApplicationForm { missing idDocuments { side url confirmed } } } }"
)
CARD = {side: photograph_of(PERSONAS["no-card"], side) for side in ("PORTRAIT_SIDE", "EMBLEM_SIDE")}


@pytest.fixture
async def applicant(world: World) -> FrontEnd:
    """Nothing is read here, which takes seconds: `test_prefill.py` does."""
    object.__setattr__(world.application.dependencies, "reading_pool", None)
    return await world.enter("no-card")


async def test_straightens_shows_and_confirms_both_sides(world: World, applicant: FrontEnd) -> None:
    front = await applicant.upload(_DOCUMENT, CARD["PORTRAIT_SIDE"], side="PORTRAIT_SIDE")
    one_side = await applicant.ask(_CONFIRM_DOCUMENTS)
    back = await applicant.upload(_DOCUMENT, CARD["EMBLEM_SIDE"], side="EMBLEM_SIDE")
    shown = await world.http.get(front["url"])
    confirmed = await applicant.ask(_CONFIRM_DOCUMENTS)

    assert (front["side"], front["accepted"], front["recognisedSide"]) == (
        "PORTRAIT_SIDE",
        True,
        "PORTRAIT_SIDE",
    )
    assert all(check["passed"] for check in front["checks"])
    assert len(front["corners"]) == 4
    assert (back["side"], back["accepted"]) == ("EMBLEM_SIDE", True)
    straight = Image.open(io.BytesIO(shown.content))
    assert (straight.format, straight.size) == ("JPEG", (1180, 744))
    assert fault(one_side) == ("ID_DOCUMENTS_NOT_CONFIRMED", "idDocuments")
    assert one_side["message"] == "请先上传身份证人像面和国徽面并确认。"
    assert confirmed["__typename"] == "IdDocumentsConfirmed"
    assert (await history(world, applicant.person))[-1] == "CONFIRM_ID_DOCUMENTS"
    form = await applicant.ask(_FORM)
    assert "idDocuments" not in form["missing"]
    assert [(kept["side"], kept["confirmed"]) for kept in form["idDocuments"]] == [
        ("PORTRAIT_SIDE", True),
        ("EMBLEM_SIDE", True),
    ]
    with later(minutes=11):
        assert (await world.http.get(front["url"])).status_code == 403


async def test_tells_all_that_is_wrong_and_keeps_nothing(world: World, applicant: FrontEnd) -> None:
    small_and_wrong_side = _shrunk(CARD["EMBLEM_SIDE"], 480)
    before = await world.rows()

    answer = await applicant.upload(_DOCUMENT, small_and_wrong_side, side="PORTRAIT_SIDE")
    with english(applicant):
        in_english = await applicant.upload(_DOCUMENT, small_and_wrong_side, side="PORTRAIT_SIDE")

    wrong = {check["code"]: check for check in answer["checks"] if not check["passed"]}
    assert answer["__typename"] == "IdDocumentUploaded"
    assert (answer["accepted"], answer["recognisedSide"], answer["url"]) == (
        False,
        "EMBLEM_SIDE",
        None,
    )
    assert {"WRONG_SIDE", "TOO_SMALL"} <= set(wrong)
    small = wrong["TOO_SMALL"]
    assert (small["atLeast"], small["atMost"], small["unit"]) == (600, None, "PIXELS")
    assert 380 < small["measured"] < 440
    assert small["message"] == (
        f"证件只有 {small['measured']:g} 像素宽，至少需要 600 像素；请靠近一些拍摄，并上传原图。"
    )
    assert "please turn the card over" in str(in_english["checks"])
    assert await world.rows() == before


async def test_tells_which_part_is_covered_and_keeps_nothing(
    world: World, applicant: FrontEnd
) -> None:
    card = portrait_side(card_of(PERSONAS["no-card"]))
    number = HIDDEN_BOXES[Side.PORTRAIT_SIDE]["number"]
    covered = on_a_table(sticky_note(card, number, np.random.default_rng(1)))
    before = await world.rows()

    answer = await applicant.upload(_DOCUMENT, covered, side="PORTRAIT_SIDE")
    with english(applicant):
        in_english = await applicant.upload(_DOCUMENT, covered, side="PORTRAIT_SIDE")

    wrong = {check["code"]: check for check in answer["checks"] if not check["passed"]}
    assert (answer["accepted"], answer["url"], set(wrong)) == (False, None, {"COVERED"})
    assert (wrong["COVERED"]["atMost"], wrong["COVERED"]["unit"]) == (4, "PERCENT")
    assert wrong["COVERED"]["message"].startswith("证件上的公民身份号码")
    assert "ID number" in str(in_english["checks"])
    assert await world.rows() == before


async def test_one_picture_of_both_sides_serves_for_both(world: World, applicant: FrontEnd) -> None:
    person = card_of(PERSONAS["no-card"])
    sheet = Image.new("RGB", (2100, 2600), (70, 52, 40))
    for card, top in ((portrait_side(person), 140), (emblem_side(person), 1380)):
        sheet.paste(card, (190, top), card)
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=90)

    first = await applicant.upload(_DOCUMENT, buffer.getvalue(), side="PORTRAIT_SIDE")
    second = await applicant.upload(_DOCUMENT, buffer.getvalue(), side=first["otherSide"]["side"])
    confirmed = await applicant.ask(_CONFIRM_DOCUMENTS)
    alone = await applicant.upload(_DOCUMENT, CARD["EMBLEM_SIDE"], side="EMBLEM_SIDE")

    assert (first["accepted"], first["recognisedSide"]) == (True, "PORTRAIT_SIDE")
    assert first["otherSide"]["side"] == "EMBLEM_SIDE"
    assert len(first["otherSide"]["corners"]) == 4
    assert (second["accepted"], second["otherSide"]["side"]) == (True, "PORTRAIT_SIDE")
    assert confirmed["__typename"] == "IdDocumentsConfirmed"
    assert alone["otherSide"] is None


async def test_refuses_what_is_no_picture(world: World, applicant: FrontEnd) -> None:
    before = await world.rows()

    refused = [
        await applicant.upload(_DOCUMENT, b"no picture", side="EMBLEM_SIDE"),
        await applicant.upload(_DOCUMENT, b"", side="EMBLEM_SIDE"),
        await applicant.upload(_DOCUMENT, CARD["EMBLEM_SIDE"][:2_000], side="EMBLEM_SIDE"),
        await applicant.upload(_DOCUMENT, b"%PDF-1.7", side="EMBLEM_SIDE"),
    ]

    assert [answer["code"] for answer in refused] == [
        "UNREADABLE_IMAGE",
        "FILE_EMPTY",
        "IMAGE_INCOMPLETE",
        "IMAGE_FORMAT_UNSUPPORTED",
    ]
    assert {problems(answer)[0][0] for answer in refused} == {"file"}
    assert await world.rows() == before


async def test_a_newer_side_must_be_confirmed_again_but_a_refused_one_changes_nothing(
    world: World, applicant: FrontEnd
) -> None:
    for side, picture in CARD.items():
        await applicant.upload(_DOCUMENT, picture, side=side)
    await applicant.ask(_CONFIRM_DOCUMENTS)

    await applicant.upload(_DOCUMENT, _shrunk(CARD["EMBLEM_SIDE"], 480), side="EMBLEM_SIDE")
    after_refused = (await applicant.ask(_FORM))["missing"]
    await applicant.upload(_DOCUMENT, CARD["EMBLEM_SIDE"], side="EMBLEM_SIDE")
    after_newer = (await applicant.ask(_FORM))["missing"]

    assert "idDocuments" not in after_refused
    assert "idDocuments" in after_newer


async def test_refuses_an_account_that_is_not_bound(world: World) -> None:
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()
    before = await world.rows()

    document = await citizen.upload(_DOCUMENT, CARD["EMBLEM_SIDE"], side="EMBLEM_SIDE")

    assert fault(document) == ("NOT_BOUND", None)
    assert await world.rows() == before


async def test_the_sandbox_draws_a_card_for_each_persona(world: World) -> None:
    drawn = await world.http.get("/sandbox/id-cards/active/EMBLEM_SIDE.jpg")
    unknown = await world.http.get("/sandbox/id-cards/nobody/EMBLEM_SIDE.jpg")
    no_side = await world.http.get("/sandbox/id-cards/active/edge.jpg")

    assert Image.open(io.BytesIO(drawn.content)).format == "JPEG"
    assert (unknown.status_code, no_side.status_code) == (404, 404)


def _shrunk(data: bytes, width: int) -> bytes:
    picture, buffer = Image.open(io.BytesIO(data)), io.BytesIO()
    picture.thumbnail((width, width))
    picture.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()
