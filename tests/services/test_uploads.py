"""上传照片 and 上传身份证: portrait and ID documents, uploaded and confirmed, through HTTP."""

import io
from typing import Any

import pytest
from PIL import Image

from tests.front_end import REFUSAL, FrontEnd, World
from tests.services.parts import english, fault, history, later, problems

_PORTRAIT = (
    "mutation($file: Upload!) { uploadPortrait(file: $file) { __typename"
    f" ... on PortraitPreview {{ portraitId url accepted checks {{ code passed }} }} {REFUSAL} }} }}"
)
_DOCUMENT = (
    "mutation($side: IdDocumentSide!, $file: Upload!) {"
    " uploadIdDocument(side: $side, file: $file) { __typename"
    f" ... on IdDocumentUploaded {{ side accepted }} {REFUSAL} }} }}"
)
_CONFIRM_PORTRAIT = (
    "mutation($id: ID!) { confirmPortrait(portraitId: $id) { __typename"
    f" ... on PortraitConfirmed {{ portraitId }} {REFUSAL} }} }}"
)
_CONFIRM_DOCUMENTS = (
    "mutation { confirmIdDocuments { __typename ... on IdDocumentsConfirmed { at }"
    f" {REFUSAL} }} }}"
)
_MISSING = "{ applicationForm { ... on ApplicationForm { missing portrait { confirmed } } } }"


@pytest.fixture
async def applicant(world: World) -> FrontEnd:
    return await world.enter("no-card")


async def test_processes_a_portrait_shows_it_and_lets_it_be_confirmed(
    world: World, applicant: FrontEnd
) -> None:
    preview = await applicant.upload(_PORTRAIT, _picture(826, 1156, exif=True))
    shown = await world.http.get(preview["url"])
    confirmed = await applicant.ask(_CONFIRM_PORTRAIT, id=preview["portraitId"])

    assert preview["accepted"] is True
    assert all(check["passed"] for check in preview["checks"])
    processed = Image.open(io.BytesIO(shown.content))
    assert (processed.format, processed.mode, processed.size) == ("JPEG", "RGB", (358, 441))
    assert processed.info["dpi"] == (350, 350)
    assert not processed.getexif()
    assert len(shown.content) <= 40 * 1024
    assert confirmed == {"__typename": "PortraitConfirmed", "portraitId": preview["portraitId"]}
    assert (await history(world, applicant.person))[-2:] == ["UPLOAD_PORTRAIT", "CONFIRM_PORTRAIT"]
    missing = (await applicant.ask(_MISSING))["missing"]
    assert "portrait" not in missing
    assert "idDocuments" in missing
    with later(minutes=11):
        assert (await world.http.get(preview["url"])).status_code == 403
    assert (await world.http.get(preview["url"] + "0")).status_code == 403


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


async def test_a_newer_picture_must_be_confirmed_anew(world: World, applicant: FrontEnd) -> None:
    older = await applicant.upload(_PORTRAIT, _picture(826, 1156))
    await applicant.ask(_CONFIRM_PORTRAIT, id=older["portraitId"])
    newer = await applicant.upload(_PORTRAIT, _picture(826, 1156))
    before = await world.rows()

    refused = await applicant.ask(_CONFIRM_PORTRAIT, id=older["portraitId"])

    assert fault(refused) == ("NO_SUCH_PORTRAIT", "portraitId")
    assert await world.rows() == before
    assert "portrait" in (await applicant.ask(_MISSING))["missing"]
    await applicant.ask(_CONFIRM_PORTRAIT, id=newer["portraitId"])
    assert (await applicant.ask(_MISSING))["portrait"] == {"confirmed": True}


async def test_refuses_a_portrait_of_somebody_else_or_of_nobody(
    world: World, applicant: FrontEnd
) -> None:
    neighbour = await world.enter("minor")
    theirs = await neighbour.upload(_PORTRAIT, _picture(826, 1156))
    before = await world.rows()

    refused = [
        await applicant.ask(_CONFIRM_PORTRAIT, id=number)
        for number in (theirs["portraitId"], "0", "", "x", "９")
    ]
    with english(applicant):
        in_english = await applicant.ask(_CONFIRM_PORTRAIT, id="1")

    assert {fault(answer) for answer in refused} == {("NO_SUCH_PORTRAIT", "portraitId")}
    assert in_english["message"] == "This portrait was not found; please upload it again."
    assert await world.rows() == before


async def test_refuses_pictures_that_cannot_be_used(world: World, applicant: FrontEnd) -> None:
    before = await world.rows()

    refused = [
        await applicant.upload(_PORTRAIT, b""),
        await applicant.upload(_PORTRAIT, b"no picture"),
        await applicant.upload(_PORTRAIT, _picture(826, 1156)[:2_000]),
        await applicant.upload(_PORTRAIT, _picture(826, 1156, "GIF")),
        await applicant.upload(_PORTRAIT, _picture(357, 441)),
        await applicant.upload(_DOCUMENT, b"no picture", side="EMBLEM_SIDE"),
        await applicant.upload(_DOCUMENT, _picture(630, 1000), side="EMBLEM_SIDE"),
        await applicant.upload(_DOCUMENT, _picture(639, 400), side="EMBLEM_SIDE"),
    ]
    too_large = await applicant.upload(_PORTRAIT, b"\xff" * (10 * 1_048_576 + 1))

    assert [answer["code"] for answer in refused] == [
        "UNREADABLE_IMAGE",
        "UNREADABLE_IMAGE",
        "UNREADABLE_IMAGE",
        "UNREADABLE_IMAGE",
        "IMAGE_TOO_SMALL",
        "UNREADABLE_IMAGE",
        "NOT_LANDSCAPE",
        "IMAGE_TOO_SMALL",
    ]
    assert {problems(answer)[0][0] for answer in refused} == {"file"}
    assert refused[4]["message"] == "照片太小（357×441 像素），至少需要 358×441 像素。"
    assert fault(too_large) == ("FILE_TOO_LARGE", "file")
    assert too_large["message"] == "文件不能超过 10 MB。"
    assert await world.rows() == before


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
async def test_reads_other_formats(applicant: FrontEnd, image_format: str) -> None:
    preview = await applicant.upload(_PORTRAIT, _picture(826, 1156, image_format))

    assert preview["accepted"] is True


async def test_refuses_an_account_that_is_not_bound(world: World) -> None:
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()
    before = await world.rows()

    portrait = await citizen.upload(_PORTRAIT, _picture(826, 1156))
    document = await citizen.upload(_DOCUMENT, _picture(1000, 630), side="EMBLEM_SIDE")

    assert fault(portrait) == fault(document) == ("NOT_BOUND", None)
    assert await world.rows() == before


def _picture(width: int, height: int, image_format: str = "JPEG", *, exif: bool = False) -> bytes:
    picture, buffer, options = Image.new("RGB", (width, height), "white"), io.BytesIO(), {}
    if exif:
        options["exif"] = _where_it_was_taken()
    picture.save(buffer, image_format, **options)
    return buffer.getvalue()


def _where_it_was_taken() -> Any:
    exif = Image.Exif()
    exif[0x010F] = "a phone"
    return exif
