"""Finds faces and eyes with the Haar cascades that OpenCV brings: where landmarks are not installed."""

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.portraits.face import (
    Face,
    Pixels,
    brightened,
    shrunk,
    to_point,
    with_margin,
)

_SEARCHED_EDGE = 480
_FACE_EDGE = 220
_MIN_SHARE = 0.14
_CERTAIN = 2.0


def find_faces(picture: Pixels) -> tuple[Pixels, list[Face]]:
    """The picture turned so that the head is upright, and its faces: the most prominent one first."""
    for quarter_turns in (0, 1, 3, 2):
        turned = np.ascontiguousarray(np.rot90(picture, quarter_turns))
        faces = _upright_faces(turned)
        if faces and (quarter_turns == 0 or faces[0].eyes_found):
            return turned, faces
    return picture, _faint_faces(picture)


def _upright_faces(picture: Pixels) -> list[Face]:
    """Very small faces are ignored."""
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    small, shrink = _shrunk(grey)
    boxes, _, weights = _detected("frontalface_default", small)
    found = []
    for box, weight in zip(boxes, np.ravel(weights), strict=True):
        face = _face(grey, np.asarray(box) / shrink)
        if face.eyes_found or weight > _CERTAIN:
            found.append(face)
    found.sort(key=lambda face: (face.eyes_found, face.width), reverse=True)
    return [face for rank, face in enumerate(found) if not _covers_any(face, found[:rank])]


def _faint_faces(picture: Pixels) -> list[Face]:
    """Dark, cropped or noisy faces; slower, and requires visible eyes."""
    bright = brightened(picture)
    wider, margin = with_margin(bright)
    for searched, by in ((bright, 0), (wider, -margin)):
        faces = [face for face in _upright_faces(searched) if face.eyes_found]
        if faces:
            return [face.moved(by) for face in faces]
    return []


def has_profile(picture: Pixels) -> bool:
    """Whether there is a face in profile, with only one eye visible."""
    small, _ = _shrunk(np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8))
    for side in (small, np.ascontiguousarray(small[:, ::-1])):
        _, _, weights = _detected("profileface", side)
        if len(weights) and np.max(weights) > _CERTAIN:
            return True
    return False


def _shrunk(grey: Pixels) -> tuple[Pixels, float]:
    """The reduced picture and its scale factor."""
    shrink = min(1.0, _SEARCHED_EDGE / max(grey.shape))
    return shrunk(grey, shrink), shrink


def _detected(name: str, small: Pixels) -> Any:
    """Returns boxes, reject levels and weights."""
    least = max(24, int(min(small.shape) * _MIN_SHARE))
    return _cascade(name).detectMultiScale3(
        small, 1.1, 4, minSize=(least, least), outputRejectLevels=True
    )


def _covers_any(face: Face, others: list[Face]) -> bool:
    """True for a duplicate detection, or a false one such as chin and collar."""
    return any(np.hypot(*np.subtract(face.middle, other.middle)) < other.width for other in others)


def _face(grey: NDArray[np.uint8], box: NDArray[np.float64]) -> Face:
    left, top, width, height = box
    rows = slice(int(max(0, top + 0.18 * height)), int(top + 0.62 * height))
    zoom = _FACE_EDGE / width
    halves = []
    for start in (0.06, 0.46):
        columns = slice(int(max(0, left + start * width)), int(left + (start + 0.48) * width))
        half = cv2.resize(grey[rows, columns], None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        offset = np.array([columns.start, rows.start])
        halves.append([centre / zoom + offset for centre in _eyes(np.asarray(half, np.uint8))])
    pair = _best_pair(halves[0], halves[1], width)
    if pair is None:
        y = top + 0.39 * height
        return Face((left + 0.31 * width, y), (left + 0.69 * width, y), width, False)
    return Face(to_point(pair[0]), to_point(pair[1]), width, True)


def _eyes(part: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    edge = int(_FACE_EDGE * 0.13), int(_FACE_EDGE * 0.34)
    centres: list[NDArray[np.float64]] = []
    for name in ("eye", "eye_tree_eyeglasses"):
        for x, y, width, height in _cascade(name).detectMultiScale(
            part, 1.08, 3, minSize=(edge[0], edge[0]), maxSize=(edge[1], edge[1])
        ):
            centres.append(np.array([x + width / 2, y + height / 2]))
    return centres


def _best_pair(
    left: list[NDArray[np.float64]], right: list[NDArray[np.float64]], width: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The pair whose distance and level best match two eyes in the face's box."""
    best, chosen = 0.16, None
    for one in left:
        for other in right:
            across, down = (other - one) / width
            oddness = abs(across - 0.38) + 0.4 * abs(down)
            if oddness < best:
                best, chosen = oddness, (one, other)
    if chosen is None:
        return None
    near = 0.06 * width
    return _middle(left, chosen[0], near), _middle(right, chosen[1], near)


def _middle(
    centres: list[NDArray[np.float64]], chosen: NDArray[np.float64], near: float
) -> NDArray[np.float64]:
    close = [centre for centre in centres if np.hypot(*(centre - chosen)) < near]
    return np.asarray(np.mean(close, axis=0))


@cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    cv2.setNumThreads(1)
    folder = Path(cv2.__file__).with_name("data")
    return cv2.CascadeClassifier(str(folder / f"haarcascade_{name}.xml"))
