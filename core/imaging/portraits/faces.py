"""Finds the face of a portrait, whichever way the picture lies, and other people's faces.

By landmarks where their weights are installed, else with OpenCV's cascades.
"""

from math import ceil

import numpy as np

from core.imaging.portraits import haar, landmarks
from core.imaging.portraits.face import (
    Face,
    Pixels,
    Points,
    brightened,
    shrunk,
    to_point,
    with_margin,
)
from core.imaging.portraits.landmarks import Detection
from core.imaging.portraits.weights import find_weights

_COMPARED_EDGE = 256
_PARTED_EDGE = 512
_UPRIGHT_BONUS = 0.1
"""On the detector's score: a picture lies as its file says, unless another way is clearly better."""
_LARGE = 0.4
"""Of the width of the main face."""
_PRINT = 0.7
"""Of the width of the main face: a smaller one on the chest is a print, a larger one a child."""


def find_faces(picture: Pixels) -> tuple[Pixels, list[Face]]:
    """The picture turned so that the head is upright, and its large faces: the most prominent first."""
    if find_weights() is None:
        turned, faces = haar.find_faces(picture)
        return turned, [face for face in faces if face.width > _LARGE * faces[0].width]
    turned = _in_best_orientation(picture)
    detections = landmarks.detect(turned)
    main = _main_face(turned, detections)
    return turned, [] if main is None else [main, *_others(turned, main, detections)]


def _in_best_orientation(picture: Pixels) -> Pixels:
    """Turned by quarters so that a face is most certain."""
    small = shrunk(picture, min(1.0, _COMPARED_EDGE / max(picture.shape)))
    scores = [_certainty(np.rot90(small, quarter_turns)) for quarter_turns in range(4)]
    scores[0] += _UPRIGHT_BONUS
    return np.ascontiguousarray(np.rot90(picture, int(np.argmax(scores))))


def _certainty(turned: Pixels) -> float:
    found = landmarks.detect(np.ascontiguousarray(turned))
    return max((one.score for one in found if abs(one.roll) < np.pi / 4), default=0.0)


def _main_face(picture: Pixels, detections: list[Detection]) -> Face | None:
    """Searches the picture; brightened, for dark faces; with a margin, for cropped ones; and its parts."""
    found = _most_prominent(picture, detections)
    if found is not None:
        return found
    bright = brightened(picture)
    found = _most_prominent(bright, landmarks.detect(bright))
    if found is not None:
        return found
    wider, margin = with_margin(bright)
    found = _most_prominent(wider, landmarks.detect(wider))
    if found is not None:
        return found.moved(-margin)
    return _most_prominent(bright, _detect_in_parts(bright))


def _most_prominent(picture: Pixels, detections: list[Detection]) -> Face | None:
    for detection in sorted(detections, key=lambda one: -one.score * one.size):
        mesh = landmarks.find_mesh(picture, detection)
        if mesh is not None:
            return _face(mesh)
    return None


def _detect_in_parts(picture: Pixels) -> list[Detection]:
    """In squares of half the long edge, which overlap by half at least: for small faces."""
    scale = min(1.0, _PARTED_EDGE / max(picture.shape))
    small = shrunk(picture, scale)
    edge = max(small.shape) // 2
    tops, lefts = (
        np.linspace(0, max(0, length - edge), max(1, ceil(2 * length / edge) - 1)).astype(int)
        for length in small.shape[:2]
    )
    return [
        found.moved(np.array((left, top))).scaled(1 / scale)
        for top in tops
        for left in lefts
        for found in landmarks.detect(small[top : top + edge, left : left + edge])
    ]


def _others(picture: Pixels, main: Face, detections: list[Detection]) -> list[Face]:
    """Large faces besides the main one, without those that are printed on its clothes."""
    wider, margin = with_margin(picture)
    at_edge = (one.moved(np.array((-margin, -margin))) for one in landmarks.detect(wider))
    found: list[Face] = []
    for detection in (*detections, *at_edge, *_detect_in_parts(picture)):
        known = (main, *found)
        if detection.size <= _LARGE * main.width or _is_one_of(known, detection.centre):
            continue
        mesh = landmarks.find_mesh(picture, detection)
        if mesh is None or _is_one_of(known, mesh[landmarks.NOSE, :2]):
            continue
        face = _face(mesh)
        if face.width > _LARGE * main.width and not _is_print(face, main):
            found.append(face)
    return found


def _is_one_of(faces: tuple[Face, ...], place: Points) -> bool:
    return any(np.hypot(*(place - _nose(face))) < 0.9 * face.width for face in faces)


def _nose(face: Face) -> Points:
    assert face.mesh is not None
    return face.mesh[landmarks.NOSE, :2]


def _is_print(face: Face, main: Face) -> bool:
    """On the chest of the main person, and small."""
    assert main.mesh is not None
    across, down = _nose(face) - main.mesh[landmarks.CHIN, :2]
    return bool(down > 0 and abs(across) < main.width and face.width < _PRINT * main.width)


def _face(mesh: Points) -> Face:
    """Pixel positions are those of the pixels' centres."""
    eyes = [
        mesh[iris : iris + 5, :2].mean(axis=0) - 0.5
        for iris in (landmarks.LEFT_IRIS, landmarks.RIGHT_IRIS)
    ]
    width = np.hypot(*(mesh[landmarks.RIGHT_CHEEK] - mesh[landmarks.LEFT_CHEEK])[:2])
    return Face(to_point(eyes[0]), to_point(eyes[1]), float(width), True, mesh)
