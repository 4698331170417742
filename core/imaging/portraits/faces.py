"""Finds the face of a portrait, whichever way the picture lies, and other people's faces.

By landmarks where their weights are installed, else with OpenCV's cascades.
"""

from collections.abc import Iterator
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
from core.imaging.portraits.weights import find_weights

_COMPARED_EDGE = 256
_UPRIGHT_BONUS = 0.15
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
    main = _main_face(turned)
    return turned, [] if main is None else [main, *_others(turned, main)]


def _in_best_orientation(picture: Pixels) -> Pixels:
    """Turned by quarters so that a face is most certain."""
    small = shrunk(picture, min(1.0, _COMPARED_EDGE / max(picture.shape)))
    scores = [_certainty(np.rot90(small, quarter_turns)) for quarter_turns in range(4)]
    scores[0] += _UPRIGHT_BONUS
    return np.ascontiguousarray(np.rot90(picture, int(np.argmax(scores))))


def _certainty(turned: Pixels) -> float:
    found = landmarks.detect(np.ascontiguousarray(turned))
    return max((one.score for one in found if abs(one.roll) < np.pi / 4), default=0.0)


def _main_face(picture: Pixels) -> Face | None:
    for searched, left, top in _views(picture):
        found = landmarks.detect(searched)
        for detection in sorted(found, key=lambda one: -one.score * one.size):
            mesh = landmarks.find_mesh(searched, detection)
            if mesh is not None:
                return _face(mesh, left, top)
    return None


def _views(picture: Pixels) -> Iterator[tuple[Pixels, int, int]]:
    """The picture; brightened, for dark faces; with a margin, for cropped ones; parts, for small ones.

    Each with the position of its upper left corner in the picture.
    """
    yield picture, 0, 0
    bright = brightened(picture)
    yield bright, 0, 0
    wider, margin = with_margin(bright)
    yield wider, -margin, -margin
    yield from _parts(bright)


def _parts(picture: Pixels) -> Iterator[tuple[Pixels, int, int]]:
    """Squares of half the long edge, which overlap by half at least."""
    edge = max(picture.shape[:2]) // 2
    starts = [
        np.linspace(0, max(0, length - edge), max(1, ceil(2 * length / edge) - 1)).astype(int)
        for length in picture.shape[:2]
    ]
    for top in starts[0]:
        for left in starts[1]:
            yield picture[top : top + edge, left : left + edge], int(left), int(top)


def _others(picture: Pixels, main: Face) -> list[Face]:
    """Large faces besides the main one, without those that are printed on its clothes."""
    found: list[Face] = []
    for searched, left, top in ((picture, 0, 0), *_parts(picture)):
        for detection in landmarks.detect(searched):
            middle = detection.centre + np.array((left, top))
            if detection.size <= _LARGE * main.width or any(
                np.hypot(*(middle - _nose(face))) < 0.7 * face.width for face in (main, *found)
            ):
                continue
            mesh = landmarks.find_mesh(searched, detection)
            if mesh is not None:
                face = _face(mesh, left, top)
                if face.width > _LARGE * main.width and not _is_print(face, main):
                    found.append(face)
    return found


def _nose(face: Face) -> Points:
    assert face.mesh is not None
    return face.mesh[landmarks.NOSE, :2]


def _is_print(face: Face, main: Face) -> bool:
    """On the chest of the main person, and small."""
    assert main.mesh is not None
    across, down = _nose(face) - main.mesh[landmarks.CHIN, :2]
    return bool(down > 0 and abs(across) < main.width and face.width < _PRINT * main.width)


def _face(mesh: Points, left: int, top: int) -> Face:
    """Of a part of the picture that begins there. Pixel positions are those of the pixels' centres."""
    mesh = mesh + np.array((left, top, 0))
    eyes = [
        mesh[iris : iris + 5, :2].mean(axis=0) - 0.5
        for iris in (landmarks.LEFT_IRIS, landmarks.RIGHT_IRIS)
    ]
    width = np.hypot(*(mesh[landmarks.RIGHT_CHEEK] - mesh[landmarks.LEFT_CHEEK])[:2])
    return Face(to_point(eyes[0]), to_point(eyes[1]), float(width), True, mesh)
