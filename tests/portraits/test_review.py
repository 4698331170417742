"""The portrait review on synthetic portraits: the quick part of `make portraits-report`."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.imaging import Check, CheckCode, ProcessedPortrait, portrait_advice, process_portrait
from core.imaging.portraits.standard import CROWN, EYE_LINE, EYE_X, FACE_WIDTH, HEIGHT
from core.kernel.texts import Language
from tests.portraits import scenes
from tests.portraits.heads import Pose

pytestmark = pytest.mark.slow

LIMITS = (14 * 1024, 40 * 1024)


def reviewed(data: bytes) -> ProcessedPortrait:
    return process_portrait(data, *LIMITS)


def failed(found: ProcessedPortrait) -> set[CheckCode]:
    return {check.code for check in found.checks if not check.passed}


def faulty(name: str, number: int) -> scenes.Case:
    """A case of the report."""
    scene = scenes.good_scene(
        np.random.default_rng([1, list(scenes.FAULTS).index(name) + 1, number])
    )
    scenes.FAULTS[name](scene)
    return scenes.picture(name, scene)


@pytest.mark.parametrize("number", range(6))
def test_accepts_a_good_portrait_and_brings_it_to_the_standard(number: int) -> None:
    case = scenes.picture("good", scenes.good_scene(np.random.default_rng([1, 0, number])))

    found = reviewed(case.data)

    assert failed(found) == set()
    picture = Image.open(io.BytesIO(found.data))
    assert (picture.size, picture.mode, picture.info["dpi"]) == ((358, 441), "RGB", (350, 350))
    assert LIMITS[0] <= len(found.data) <= LIMITS[1]
    geometry = found.geometry
    assert geometry is not None
    assert CROWN.holds(geometry.crown)
    assert EYE_X.holds(geometry.eye_x)
    assert EYE_LINE.holds(HEIGHT - geometry.eye_line)
    assert FACE_WIDTH.holds(geometry.face_right - geometry.face_left)
    upper_corners = np.asarray(picture)[:60, [0, 1, 2, -3, -2, -1]]
    assert upper_corners.min() >= 250


@pytest.mark.parametrize("name", scenes.FAULTS)
def test_finds_each_fault_and_blames_nothing_else(name: str) -> None:
    case = faulty(name, 1)

    found = reviewed(case.data)

    assert case.must <= failed(found) <= case.must | case.may


def test_tells_two_faults_at_once() -> None:
    scene = scenes.good_scene(np.random.default_rng(5))
    scenes.blurred(scene)
    scenes.not_colour(scene)

    found = failed(reviewed(scenes.picture("both", scene).data))

    assert {CheckCode.BLURRED, CheckCode.NOT_COLOUR} <= found


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_finds_the_head_of_a_picture_that_lies_on_its_side(quarter_turns: int) -> None:
    scene = scenes.good_scene(np.random.default_rng(6))
    scene.kind = "PNG"
    upright = Image.open(io.BytesIO(scenes.picture("upright", scene).data))
    lying = io.BytesIO()
    upright.rotate(90 * quarter_turns, expand=True).save(lying, "PNG", compress_level=1)

    assert reviewed(lying.getvalue()).accepted


@pytest.mark.parametrize(
    ("name", "number"),
    [("too_dark", 3), ("too_dark", 7), ("tilted", 0), ("off_centre", 7), ("turned", 9)],
)
def test_finds_a_face_that_is_hard_to_see_and_says_why(name: str, number: int) -> None:
    case = faulty(name, number)

    found = failed(reviewed(case.data))

    assert CheckCode.NO_FACE not in found
    assert case.must <= found


def test_a_profile_is_told_to_face_the_camera() -> None:
    case = faulty("turned", 2)

    found = reviewed(case.data)

    assert failed(found) == {CheckCode.TURNED}


def test_a_head_cut_off_is_not_called_too_small_besides() -> None:
    assert CheckCode.TOO_SMALL not in failed(reviewed(faulty("cut_off", 2).data))


def test_levels_the_eyes() -> None:
    scene = scenes.good_scene(np.random.default_rng(7))
    scene.pose = Pose(roll=10)

    found = reviewed(scenes.picture("leaning", scene).data)

    assert found.accepted
    again = reviewed(found.data)
    tilt = next(check for check in again.checks if check.code is CheckCode.TILTED)
    assert tilt.measured < 2.5


def test_keeps_the_shirt_white_as_the_wall() -> None:
    scene = scenes.good_scene(np.random.default_rng(8))
    scene.person = replace(scene.person, clothes=(0.8, 0.8, 0.8), long_hair=False)
    scene.wall = (0.9, 0.9, 0.9)

    found = reviewed(scenes.picture("white shirt", scene).data)

    chest = np.asarray(Image.open(io.BytesIO(found.data)).convert("L"))[425:, 160:200]
    assert found.accepted
    assert np.median(chest) < 252


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("measured", [-1e6, 1e6])
def test_every_check_has_a_sentence_with_its_numbers(language: Language, measured: float) -> None:

    sentences = [portrait_advice(Check(code, measured), language) for code in CheckCode]

    assert len(set(sentences)) == len(CheckCode)
    assert not any("{" in sentence or "inf" in sentence for sentence in sentences)


def test_a_value_just_beyond_its_limit_does_not_read_as_the_limit() -> None:

    assert "357.6 像素宽，至少需要 358" in portrait_advice(
        Check(CheckCode.TOO_SMALL, 357.6), Language.ZH
    )


@pytest.mark.parametrize(("least", "most"), [(14, 20), (20, 25), (6, 8), (30, 40)])
def test_meets_the_configured_byte_range(least: int, most: int) -> None:
    data = scenes.picture("good", scenes.good_scene(np.random.default_rng(3))).data

    found = process_portrait(data, least * 1024, most * 1024)

    assert least * 1024 <= len(found.data) <= most * 1024
