"""Detects faces and eyes with the Haar cascades bundled with OpenCV."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Point = tuple[float, float]

_SEARCHED_EDGE = 480
_FACE_EDGE = 220
_MIN_SHARE = 0.14
_CERTAIN = 2.0
_MARGIN = 0.25
_BRIGHTENING = 0.6


@dataclass(frozen=True, slots=True)
class Face:
    """Positions in pixels of the searched picture; `left_eye` is on the left side of the picture."""

    left_eye: Point
    right_eye: Point
    width: float
    eyes_found: bool

    @property
    def middle(self) -> Point:
        """The midpoint between the eyes."""
        return _point((np.array(self.left_eye) + self.right_eye) / 2)

    @property
    def eye_distance(self) -> float:
        return float(np.hypot(*np.subtract(self.right_eye, self.left_eye)))

    @property
    def tilt(self) -> float:
        """Degrees, clockwise in the picture."""
        across, down = np.subtract(self.right_eye, self.left_eye)
        return float(np.degrees(np.arctan2(down, across)))


def find_faces(picture: Pixels) -> list[Face]:
    """The most prominent face first; very small faces are ignored."""
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


def find_faint_faces(picture: Pixels) -> list[Face]:
    """As `find_faces` for dark, cropped or noisy faces; slower, and requires visible eyes."""
    low, high = np.percentile(picture, (0.5, 90))
    levels = np.clip((np.arange(256) - low) / max(high - low, 1), 0, 1) ** _BRIGHTENING * 255
    bright = cv2.GaussianBlur(cv2.LUT(picture, levels.astype(np.uint8)), (0, 0), 1.5)
    for margin in (0, int(_MARGIN * picture.shape[1])):
        wider = cv2.copyMakeBorder(bright, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        faces = [face for face in find_faces(np.asarray(wider, np.uint8)) if face.eyes_found]
        if faces:
            return [_moved(face, -margin) for face in faces]
    return []


def has_profile(picture: Pixels) -> bool:
    """Whether there is a face in profile, with only one eye visible."""
    small, _ = _shrunk(np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8))
    for side in (small, np.ascontiguousarray(small[:, ::-1])):
        _, _, weights = _detected("profileface", side)
        if len(weights) and np.max(weights) > _CERTAIN:
            return True
    return False


def _moved(face: Face, by: float) -> Face:
    (left_x, left_y), (right_x, right_y) = face.left_eye, face.right_eye
    return replace(
        face, left_eye=(left_x + by, left_y + by), right_eye=(right_x + by, right_y + by)
    )


def _shrunk(grey: Pixels) -> tuple[Pixels, float]:
    """The reduced picture and its scale factor."""
    shrink = min(1.0, _SEARCHED_EDGE / max(grey.shape))
    return shrunk(grey, shrink), shrink


def shrunk(picture: Pixels, factor: float) -> Pixels:
    """Area averaging; halving first, which is twenty times as fast in OpenCV."""
    while factor <= 0.5:
        picture, factor = halved(picture), 2 * factor
    if factor > 0.999:
        return picture
    resized = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def halved(picture: Pixels) -> Pixels:
    height, width = (edge // 2 for edge in picture.shape[:2])
    even = picture[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


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
    return Face(_point(pair[0]), _point(pair[1]), width, True)


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


def _point(centre: NDArray[np.float64]) -> Point:
    return float(centre[0]), float(centre[1])


@cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    cv2.setNumThreads(1)
    folder = Path(cv2.__file__).with_name("data")
    return cv2.CascadeClassifier(str(folder / f"haarcascade_{name}.xml"))
