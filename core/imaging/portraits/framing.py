"""Levelling the eyes, and choosing the part of the picture that becomes the portrait.

The desk is an intermediate picture in which the eyes lie level, always at the same place and
always as far apart; nearly the size of the finished one, with room around it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.portraits.faces import Face, Pixels, halved, shrunk
from core.imaging.portraits.standard import (
    CENTRE,
    CROWN,
    EYE_LINE,
    EYE_X,
    FACE_WIDTH,
    HEIGHT,
    WIDTH,
)

Affine = NDArray[np.float64]
Mask = NDArray[np.bool_]

DESK_WIDTH, DESK_HEIGHT = 760, 680
DESK_EYES = (380.0, 310.0)
EYE_DISTANCE = 88.0
_CROWN_AIM = 14.0
_FACE_AIM = 207.0


@dataclass(frozen=True, slots=True)
class Desk:
    """`inside` is where the photographed picture lies; `scale` is desk pixels per pixel searched."""

    picture: Pixels
    inside: Mask
    scale: float


@dataclass(frozen=True, slots=True)
class Window:
    """The finished picture's pixel = `scale` × (the desk's − (`left`, `top`))."""

    scale: float
    left: float
    top: float
    eye_x: float

    def matrix(self) -> Affine:
        return np.array(
            [[self.scale, 0, -self.scale * self.left], [0, self.scale, -self.scale * self.top]]
        )


def lay_on_desk(picture: Pixels, face: Face) -> Desk:
    scale = EYE_DISTANCE / face.eye_distance
    shrink = 1.0
    while scale / shrink <= 0.5:
        picture, shrink = halved(picture), shrink / 2
    if scale / shrink < 0.7:
        factor = scale / shrink / 0.85
        picture, shrink = shrunk(picture, factor), shrink * factor
    matrix = _levelling(face, scale, shrink)
    size = (DESK_WIDTH, DESK_HEIGHT)
    laid = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR)
    inside = cv2.warpAffine(
        np.ones(picture.shape[:2], np.uint8), matrix, size, flags=cv2.INTER_NEAREST
    )
    eroded = cv2.erode(inside, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return Desk(np.asarray(laid, np.uint8), eroded > 0, scale)


def _levelling(face: Face, scale: float, shrink: float) -> Affine:
    turn = np.radians(face.tilt)
    cos, sin = np.cos(turn) * scale / shrink, np.sin(turn) * scale / shrink
    middle = (np.array(face.middle) + 0.5) * shrink - 0.5
    rotation = np.array([[cos, sin], [-sin, cos]])
    shift = np.array(DESK_EYES) - rotation @ middle
    return np.hstack([rotation, shift[:, None]])


def choose_window(crown: float, face_width: float, inside: Mask, body: Mask) -> Window:
    """As large a face as the standard's middle, where neither hair nor the picture's edge forbid it."""
    fits = []
    for wanted in np.linspace(FACE_WIDTH.least, FACE_WIDTH.most, 20):
        scale = wanted / face_width
        window = _window(scale, crown, inside, body)
        badness = abs(wanted - _FACE_AIM) / 40
        badness += 3 * _outside(EYE_LINE.least, HEIGHT - _eye_line(window)) / 10
        badness += _missing_below(window, inside, body) / 5
        badness += abs(window.eye_x - CENTRE) / 10
        fits.append((badness, -scale, window))
    return min(fits, key=lambda fit: fit[:2])[2]


def usual_width(face_width: float) -> float:
    """How wide a part of the desk the portrait is where nothing hinders."""
    return WIDTH * face_width / _FACE_AIM


def _eye_line(window: Window) -> float:
    return window.scale * (DESK_EYES[1] - window.top)


def _outside(least: float, value: float) -> float:
    return max(0.0, least - value)


def _window(scale: float, crown: float, inside: Mask, body: Mask) -> Window:
    """Shifted sideways within what the standard allows the eyes, where shoulders would be cut."""
    top = crown - _CROWN_AIM / scale
    rows = slice(int(max(0, DESK_EYES[1])), int(min(DESK_HEIGHT, top + HEIGHT / scale)))
    left_cut, right_cut = cut_columns(inside, body, rows)
    left = DESK_EYES[0] - CENTRE / scale
    right = left + WIDTH / scale
    shift = 0.0
    if left_cut > left:
        shift = left_cut - left
    if right_cut < right:
        shift = (shift + right_cut - right) / (2 if shift else 1)
    eye_x = CENTRE - shift * scale
    most = EYE_X.most - CENTRE - 2
    allowed = float(np.clip(eye_x, CENTRE - most, CENTRE + most))
    return Window(scale, DESK_EYES[0] - allowed / scale, top, eye_x)


def cut_columns(inside: Mask, body: Mask, rows: slice) -> tuple[float, float]:
    """Where the picture's own edge cuts through the body: the innermost column on either side."""
    seen = inside[rows.start : rows.stop : 4]
    people = body[rows.start : rows.stop : 4][seen.any(axis=1)]
    seen = seen[seen.any(axis=1)]
    if not len(seen):
        return -1e6, 1e6
    first, last = seen.argmax(axis=1), DESK_WIDTH - 1 - seen[:, ::-1].argmax(axis=1)
    steps, each = np.arange(4), np.arange(len(seen))[:, None]
    from_left = people[each, np.minimum(first[:, None] + steps, DESK_WIDTH - 1)].all(axis=1)
    from_right = people[each, np.maximum(last[:, None] - steps, 0)].all(axis=1)
    lefts, rights = first[(first > 0) & from_left], last[(last < DESK_WIDTH - 1) & from_right]
    return float(lefts.max(initial=-1_000_000)), float(rights.min(initial=1_000_000))


def _missing_below(window: Window, inside: Mask, body: Mask) -> float:
    """Rows of the finished picture, under the chin, that the photograph does not hold."""
    column = inside[:, int(DESK_EYES[0])]
    rows = np.flatnonzero(column)
    lowest = float(rows[-1]) + 1 if len(rows) else 0.0
    return max(0.0, (window.top + HEIGHT / window.scale - lowest) * window.scale)


def missing_rows(window: Window, desk: Desk, crown: float) -> float:
    """Rows that the photograph lacks: below the shoulders, or above a head that its edge cuts."""
    below = _missing_below(window, desk.inside, desk.inside)
    rows = np.flatnonzero(desk.inside[:, int(DESK_EYES[0])])
    above = 0.0
    if len(rows) and crown <= rows[0] + 1:
        above = CROWN.least + 1
    return max(below, above)


def cut_out(desk: Desk, window: Window) -> Pixels:
    finished = cv2.warpAffine(
        desk.picture,
        window.matrix(),
        (WIDTH, HEIGHT),
        flags=cv2.INTER_CUBIC if window.scale > 1 else cv2.INTER_AREA,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(255, 255, 255),
    )
    return np.asarray(finished, np.uint8)
