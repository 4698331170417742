"""上传身份证: both sides of the ID document, uploaded and confirmed, through HTTP."""

import io

import pytest
from PIL import Image

from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import fault, history, problems

_DOCUMENT = (
    "mutation($side: IdDocumentSide!, $file: Upload!) {"
    " uploadIdDocument(side: $side, file: $file) { __typename"
    f" ... on IdDocumentUploaded {{ side accepted }} {REFUSAL} }} }}"
)
_CONFIRM_DOCUMENTS = (
    "mutation { confirmIdDocuments { __typename ... on IdDocumentsConfirmed { at }"
    f" {REFUSAL} }} }}"
)
_MISSING = "{ applicationForm { ... on ApplicationForm { missing } } }"


@pytest.fixture
async def applicant(world: World) -> FrontEnd:
    return await world.enter("no-card")


async def test_confirms_both_sides_of_the_id_card(world: World, applicant: FrontEnd) -> None:
    front = await applicant.upload(_DOCUMENT, _picture(1000, 630), side="PORTRAIT_SIDE")
    one_side = await applicant.ask(_CONFIRM_DOCUMENTS)
    back = await applicant.upload(_DOCUMENT, _picture(1000, 630), side="EMBLEM_SIDE")
    confirmed = await applicant.ask(_CONFIRM_DOCUMENTS)

    assert front == {"__typename": "IdDocumentUploaded", "side": "PORTRAIT_SIDE", "accepted": True}
    assert back["side"] == "EMBLEM_SIDE"
    assert fault(one_side) == ("ID_DOCUMENTS_NOT_CONFIRMED", "idDocuments")
    assert one_side["message"] == "请先上传身份证人像面和国徽面并确认。"
    assert confirmed["__typename"] == "IdDocumentsConfirmed"
    assert (await history(world, applicant.person))[-1] == "CONFIRM_ID_DOCUMENTS"
    assert "idDocuments" not in (await applicant.ask(_MISSING))["missing"]


async def test_refuses_pictures_that_cannot_be_used(world: World, applicant: FrontEnd) -> None:
    before = await world.rows()

    refused = [
        await applicant.upload(_DOCUMENT, b"no picture", side="EMBLEM_SIDE"),
        await applicant.upload(_DOCUMENT, _picture(630, 1000), side="EMBLEM_SIDE"),
        await applicant.upload(_DOCUMENT, _picture(639, 400), side="EMBLEM_SIDE"),
    ]

    assert [answer["code"] for answer in refused] == [
        "UNREADABLE_IMAGE",
        "NOT_LANDSCAPE",
        "IMAGE_TOO_SMALL",
    ]
    assert {problems(answer)[0][0] for answer in refused} == {"file"}
    assert refused[2]["message"] == "照片太小（639×400 像素），至少需要 640×400 像素。"
    assert await world.rows() == before


async def test_refuses_an_account_that_is_not_bound(world: World) -> None:
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()
    before = await world.rows()

    document = await citizen.upload(_DOCUMENT, _picture(1000, 630), side="EMBLEM_SIDE")

    assert fault(document) == ("NOT_BOUND", None)
    assert await world.rows() == before


def _picture(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(buffer, "JPEG")
    return buffer.getvalue()
