"""上传照片: reviewed, processed, shown and confirmed, through HTTP."""

import io
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.imaging import CheckCode
from core.imaging.portraits import standard
from tests.core.odd_files import drawn
from tests.front_end import REFUSAL, FrontEnd, World, as_read
from tests.portraits import scenes
from tests.services.parts import english, fault, history, later, problems

pytestmark = pytest.mark.slow

_UPLOAD = (
    "mutation($file: Upload!) { uploadPortrait(file: $file) { __typename"
    " ... on PortraitPreview { portraitId url overlayUrl accepted"
    " geometry { crown eyeLine eyeX faceLeft faceRight }"
    f" checks {{ code passed message measured atLeast atMost unit }} }} {REFUSAL} }} }}"
)
_CONFIRM = (
    "mutation($id: ID!) { confirmPortrait(portraitId: $id) { __typename"
    f" ... on PortraitConfirmed {{ portraitId }} {REFUSAL} }} }}"
)
_FORM = "{ applicationForm { ... on ApplicationForm { missing portrait { confirmed } } } }"


@pytest.fixture
async def applicant(world: World) -> FrontEnd:
    return await world.enter("no-card")


@pytest.fixture(scope="module")
def good() -> bytes:
    return scenes.picture("good", scenes.good_scene(np.random.default_rng(3))).data


@pytest.fixture(scope="module")
def blurred_before_a_blue_wall() -> bytes:
    scene = scenes.good_scene(np.random.default_rng(4))
    scenes.blurred(scene)
    scene.wall = (0.1, 0.3, 0.7)
    return scenes.picture("bad", scene).data


async def test_processes_a_portrait_shows_it_and_lets_it_be_confirmed(
    world: World, applicant: FrontEnd, good: bytes
) -> None:
    preview = await applicant.upload(_UPLOAD, good)
    shown = await world.http.get(preview["url"])
    confirmed = await applicant.ask(_CONFIRM, id=preview["portraitId"])

    assert preview["accepted"] is True
    assert {check["code"] for check in preview["checks"]} == set(CheckCode)
    assert all(check["passed"] for check in preview["checks"])
    processed = Image.open(io.BytesIO(shown.content))
    assert (processed.format, processed.mode, processed.size) == ("JPEG", "RGB", (358, 441))
    assert set(processed.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"}
    assert processed.info["dpi"] == (350, 350)
    assert 14 * 1024 <= len(shown.content) <= 40 * 1024
    assert [processed.getpixel(corner) for corner in ((2, 2), (355, 2))] == [(255, 255, 255)] * 2
    assert confirmed == {"__typename": "PortraitConfirmed", "portraitId": preview["portraitId"]}
    assert (await history(world, applicant.person))[-2:] == ["UPLOAD_PORTRAIT", "CONFIRM_PORTRAIT"]
    missing = (await applicant.ask(_FORM))["missing"]
    assert "portrait" not in missing
    with later(minutes=11):
        assert (await world.http.get(preview["url"])).status_code == 403
        assert (await world.http.get(preview["overlayUrl"])).status_code == 403
    assert (await world.http.get(preview["url"] + "0")).status_code == 403


async def test_says_where_the_head_lies_and_draws_it_on_request(
    world: World, applicant: FrontEnd, good: bytes
) -> None:
    preview = await applicant.upload(_UPLOAD, good)
    plain = (await world.http.get(preview["url"])).content
    drawn = (await world.http.get(preview["overlayUrl"])).content

    found = preview["geometry"]
    assert standard.CROWN.holds(found["crown"])
    assert standard.EYE_X.holds(found["eyeX"])
    assert standard.EYE_LINE.holds(standard.HEIGHT - found["eyeLine"])
    assert standard.FACE_WIDTH.holds(found["faceRight"] - found["faceLeft"])
    one, other = Image.open(io.BytesIO(plain)), Image.open(io.BytesIO(drawn))
    assert other.size == (358, 441)
    red, green, blue = other.getpixel((5, found["eyeLine"]))  # type: ignore[misc]
    assert green > red + 60
    assert green > blue + 30
    assert one.getpixel((5, found["eyeLine"])) != other.getpixel((5, found["eyeLine"]))


@pytest.mark.parametrize(
    "overlay", ["", "1", "1-2-3-4", "1-2-3-4-x", "1-2-3-4-５", "1-2-3-4-99999"]
)
async def test_an_overlay_that_makes_no_sense_is_left_out(
    world: World, applicant: FrontEnd, good: bytes, overlay: str
) -> None:
    preview = await applicant.upload(_UPLOAD, good)

    shown = await world.http.get(f"{preview['url']}&overlay={overlay}")

    assert shown.content == (await world.http.get(preview["url"])).content


async def test_tells_every_problem_at_once_with_its_measure_and_limit(
    applicant: FrontEnd, blurred_before_a_blue_wall: bytes
) -> None:
    preview = await applicant.upload(_UPLOAD, blurred_before_a_blue_wall)
    with english(applicant):
        in_english = await applicant.upload(_UPLOAD, blurred_before_a_blue_wall)

    failed = {check["code"]: check for check in preview["checks"] if not check["passed"]}
    assert preview["accepted"] is False
    assert {"BLURRED", "BACKGROUND_NOT_WHITE"} <= set(failed)
    blurred = failed["BLURRED"]
    assert blurred["measured"] < blurred["atLeast"] == 24
    assert blurred["atMost"] is None
    assert blurred["unit"] == "PERCENT"
    assert blurred["message"] == (
        f"照片模糊（清晰度 {blurred['measured']:.0f}%，至少需要 24%），请拿稳手机、对焦面部后重新拍摄。"
    )
    assert failed["BACKGROUND_NOT_WHITE"]["message"].endswith("请在白墙前拍摄。")
    english_wall = next(
        check for check in in_english["checks"] if check["code"] == "BACKGROUND_NOT_WHITE"
    )
    assert english_wall["message"].endswith("please stand in front of a white wall.")


async def test_one_that_is_not_accepted_is_shown_but_takes_no_place(
    world: World, applicant: FrontEnd, good: bytes, blurred_before_a_blue_wall: bytes
) -> None:
    accepted = await applicant.upload(_UPLOAD, good)
    await applicant.ask(_CONFIRM, id=accepted["portraitId"])
    worse = await applicant.upload(_UPLOAD, blurred_before_a_blue_wall)
    before = await world.rows()

    refused = await applicant.ask(_CONFIRM, id=worse["portraitId"])

    assert fault(refused) == ("PORTRAIT_NOT_ACCEPTED", "portraitId")
    assert refused["message"] == "这张照片没有通过预审，请按提示重新拍摄后上传。"
    assert await world.rows() == before
    assert (await world.http.get(worse["url"])).status_code == 200
    assert (await applicant.ask(_FORM))["portrait"] == {"confirmed": True}


async def test_without_a_face_it_says_so_and_shows_what_came(
    world: World, applicant: FrontEnd
) -> None:
    preview = await applicant.upload(_UPLOAD, _stored(Image.new("RGB", (900, 1200), "white")))

    assert preview["accepted"] is False
    assert preview["geometry"] is None
    assert preview["overlayUrl"] is None
    failed = [check for check in preview["checks"] if not check["passed"]]
    assert [check["code"] for check in failed] == ["NO_FACE"]
    assert failed[0]["message"].startswith("没有识别到人像")
    assert Image.open(io.BytesIO((await world.http.get(preview["url"])).content)).size == (358, 441)


async def test_a_newer_picture_must_be_confirmed_again(
    world: World, applicant: FrontEnd, good: bytes
) -> None:
    older = await applicant.upload(_UPLOAD, good)
    await applicant.ask(_CONFIRM, id=older["portraitId"])
    newer = await applicant.upload(_UPLOAD, good)
    before = await world.rows()

    refused = await applicant.ask(_CONFIRM, id=older["portraitId"])

    assert fault(refused) == ("NO_SUCH_PORTRAIT", "portraitId")
    assert await world.rows() == before
    assert "portrait" in (await applicant.ask(_FORM))["missing"]
    await applicant.ask(_CONFIRM, id=newer["portraitId"])
    assert (await applicant.ask(_FORM))["portrait"] == {"confirmed": True}


async def test_refuses_a_portrait_of_somebody_else_or_of_nobody(
    world: World, applicant: FrontEnd, good: bytes
) -> None:
    neighbour = await world.enter("minor")
    theirs = await neighbour.upload(_UPLOAD, good)
    before = await world.rows()

    refused = [
        await applicant.ask(_CONFIRM, id=number)
        for number in (theirs["portraitId"], "0", "", "x", "９")
    ]
    with english(applicant):
        in_english = await applicant.ask(_CONFIRM, id="1")

    assert {fault(answer) for answer in refused} == {("NO_SUCH_PORTRAIT", "portraitId")}
    assert in_english["message"] == "The portrait was not found; please upload it again."
    assert await world.rows() == before


async def test_refuses_what_is_no_picture(world: World, applicant: FrontEnd, good: bytes) -> None:
    before = await world.rows()

    refused = [
        await applicant.upload(_UPLOAD, data)
        for data in (
            b"no picture",
            b"",
            good[:2_000],
            _stored(Image.new("RGB", (826, 1156)), "TIFF"),
            _stored(Image.new("1", (4_001, 4_000)), "PNG"),
        )
    ]
    too_large = await applicant.upload(_UPLOAD, b"\xff" * (10 * 1_048_576 + 1))

    assert [answer["code"] for answer in refused] == [
        "UNREADABLE_IMAGE",
        "FILE_EMPTY",
        "IMAGE_INCOMPLETE",
        "IMAGE_FORMAT_UNSUPPORTED",
        "IMAGE_TOO_LARGE",
    ]
    assert {problems(answer)[0][0] for answer in refused} == {"file"}
    assert refused[4]["message"].startswith("照片像素过高（4001×4000），最多 16 百万像素")
    assert fault(too_large) == ("FILE_TOO_LARGE", "file")
    assert too_large["message"] == "文件不能超过 10 MB。"
    assert await world.rows() == before


async def test_says_what_a_file_is_and_what_to_send_instead(applicant: FrontEnd) -> None:
    scan = _stored(Image.new("RGB", (826, 1156)), "TIFF")

    chinese = await applicant.upload(_UPLOAD, scan)
    with english(applicant):
        in_english = await applicant.upload(_UPLOAD, scan)

    assert as_read(chinese["message"]) == (
        "这个文件是「TIFF 图片」，只能上传 JPEG、PNG、WebP 或 HEIC 格式的照片。"
        "请在扫描时选择 JPEG 格式，或用手机相机拍摄后直接上传。"
    )
    assert as_read(in_english["message"]) == (
        "The file is a TIFF picture; only JPEG, PNG, WebP and HEIC pictures are accepted: "
        "please choose JPEG when scanning, or upload a photo from your phone's camera."
    )


async def test_says_how_much_of_a_picture_is_missing(applicant: FrontEnd) -> None:
    whole = drawn(900, 1_200)
    half = _stored(whole)
    half = half[: len(half) // 2]
    webp = _stored(whole, "WEBP")

    cut = await applicant.upload(_UPLOAD, half)
    with english(applicant):
        in_english = await applicant.upload(_UPLOAD, webp[: len(webp) * 3 // 4])

    assert re.fullmatch(
        r"照片文件不完整（约缺 (4|5)\d%），可能没有传完或没有下载完；请在相册中确认能看到完整的照片，再重新上传。",
        as_read(cut["message"]),
    )
    assert as_read(in_english["message"]).startswith(
        "The picture is incomplete (about 25% is missing); "
    )


async def test_refuses_an_account_that_is_not_bound(world: World, good: bytes) -> None:
    citizen = world.front_end("active", "WECHAT")
    await citizen.sign_in()
    before = await world.rows()

    portrait = await citizen.upload(_UPLOAD, good)

    assert fault(portrait) == ("NOT_BOUND", None)
    assert await world.rows() == before


def _stored(picture: Any, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()
