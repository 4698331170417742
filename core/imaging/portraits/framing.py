"""Aligns the face, and chooses the crop that becomes the portrait.

The aligned picture is an intermediate picture in which the eyes are level, at fixed positions. Its
scale is close to that of the finished picture, with a margin around it.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.portraits.face import Face, Pixels, Points, halved_towards, shrunk
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

ALIGNED_WIDTH, ALIGNED_HEIGHT = 760, 680
ALIGNED_EYES = (380.0, 310.0)
EYE_DISTANCE = 88.0
_CROWN_AIM = 14.0
_FACE_AIM = 207.0
_BELOW_CHIN, _CHIN_MARGIN = 25.0, 16.0
"""Pixels below the chin: what is aimed at, and what there must be."""
_MAX_HAIR_CUT = 50.0


@dataclass(frozen=True, slots=True)
class AlignedPicture:
    """`inside` masks the area that the photograph covers; `scale` is relative to the searched picture.

    `mesh` are the face's landmarks in this picture, if they were found.
    """

    picture: Pixels
    inside: Mask
    scale: float
    mesh: Points | None


@dataclass(frozen=True, slots=True)
class Window:
    """A crop: finished pixel = `scale` × (aligned pixel − (`left`, `top`))."""

    scale: float
    left: float
    top: float
    eye_x: float

    def matrix(self) -> Affine:
        return np.array(
            [[self.scale, 0, -self.scale * self.left], [0, self.scale, -self.scale * self.top]]
        )


def align_face(picture: Pixels, face: Face) -> AlignedPicture:
    scale = EYE_DISTANCE / face.eye_distance
    picture, shrink = halved_towards(picture, scale)
    if scale / shrink < 0.7:
        factor = scale / shrink / 0.85
        picture, shrink = shrunk(picture, factor), shrink * factor
    matrix = _levelling(face, scale, shrink)
    size = (ALIGNED_WIDTH, ALIGNED_HEIGHT)
    laid = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR)
    inside = cv2.warpAffine(
        np.ones(picture.shape[:2], np.uint8), matrix, size, flags=cv2.INTER_NEAREST
    )
    eroded = cv2.erode(inside, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    mesh = None if face.mesh is None else _aligned_mesh(face.mesh, _levelling(face, scale, 1.0))
    return AlignedPicture(np.asarray(laid, np.uint8), eroded > 0, scale, mesh)


def _aligned_mesh(mesh: Points, matrix: Affine) -> Points:
    rotation, shift = matrix[:, :2], matrix[:, 2]
    depth = mesh[:, 2:] * np.hypot(*rotation[0])
    return np.hstack([(mesh[:, :2] - 0.5) @ rotation.T + shift, depth])


def _levelling(face: Face, scale: float, shrink: float) -> Affine:
    turn = np.radians(face.tilt)
    cos, sin = np.cos(turn) * scale / shrink, np.sin(turn) * scale / shrink
    middle = (np.array(face.middle) + 0.5) * shrink - 0.5
    rotation = np.array([[cos, sin], [-sin, cos]])
    shift = np.array(ALIGNED_EYES) - rotation @ middle
    return np.hstack([rotation, shift[:, None]])


def choose_window(
    crown: float, face_width: float, chin: float | None, inside: Mask, body: Mask
) -> Window:
    """Aims at the middle of the standard's face widths, limited by hair, chin and the photograph's edges.

    Hair that stands too high is cut off, as the standard allows, by `_MAX_HAIR_CUT` at most.
    """
    fits = []
    for wanted in np.linspace(FACE_WIDTH.least, FACE_WIDTH.most, 20):
        scale = wanted / face_width
        window = _window(scale, crown, inside, body)
        badness = abs(wanted - _FACE_AIM) / 40
        badness += 3 * _outside(EYE_LINE.least, HEIGHT - _eye_line(window)) / 10
        badness += _missing_below(window, inside, body) / 5
        badness += abs(window.eye_x - CENTRE) / 10
        if chin is not None:
            badness += _outside(_BELOW_CHIN, HEIGHT - scale * (chin - window.top)) / 5
        fits.append((badness, -scale, window))
    best = min(fits, key=lambda fit: fit[:2])[2]
    too_low = _outside(EYE_LINE.least, HEIGHT - _eye_line(best))
    cut = min(too_low, _MAX_HAIR_CUT) / best.scale
    return replace(best, top=best.top + cut)


def usual_width(face_width: float) -> float:
    """The width of an unconstrained crop, in aligned pixels."""
    return WIDTH * face_width / _FACE_AIM


def _eye_line(window: Window) -> float:
    return window.scale * (ALIGNED_EYES[1] - window.top)


def _outside(least: float, value: float) -> float:
    return max(0.0, least - value)


def _window(scale: float, crown: float, inside: Mask, body: Mask) -> Window:
    """Shifts the crop sideways, within the standard's limits for the eyes, to keep both shoulders."""
    top = crown - _CROWN_AIM / scale
    rows = slice(int(max(0, ALIGNED_EYES[1])), int(min(ALIGNED_HEIGHT, top + HEIGHT / scale)))
    left_cut, right_cut = cut_columns(inside, body, rows)
    left = ALIGNED_EYES[0] - CENTRE / scale
    right = left + WIDTH / scale
    shift = 0.0
    if left_cut > left:
        shift = left_cut - left
    if right_cut < right:
        shift = (shift + right_cut - right) / (2 if shift else 1)
    eye_x = CENTRE - shift * scale
    most = EYE_X.most - CENTRE - 2
    allowed = float(np.clip(eye_x, CENTRE - most, CENTRE + most))
    return Window(scale, ALIGNED_EYES[0] - allowed / scale, top, eye_x)


def cut_columns(inside: Mask, body: Mask, rows: slice) -> tuple[float, float]:
    """The innermost columns on both sides where the photograph's edge cuts through the body."""
    seen = inside[rows.start : rows.stop : 4]
    people = body[rows.start : rows.stop : 4][seen.any(axis=1)]
    seen = seen[seen.any(axis=1)]
    if not len(seen):
        return -1e6, 1e6
    first, last = seen.argmax(axis=1), ALIGNED_WIDTH - 1 - seen[:, ::-1].argmax(axis=1)
    steps, each = np.arange(4), np.arange(len(seen))[:, None]
    from_left = people[each, np.minimum(first[:, None] + steps, ALIGNED_WIDTH - 1)].all(axis=1)
    from_right = people[each, np.maximum(last[:, None] - steps, 0)].all(axis=1)
    lefts, rights = first[(first > 0) & from_left], last[(last < ALIGNED_WIDTH - 1) & from_right]
    return float(lefts.max(initial=-1_000_000)), float(rights.min(initial=1_000_000))


def _missing_below(window: Window, inside: Mask, body: Mask) -> float:
    """Rows of the finished picture, below the chin, that the photograph does not cover."""
    column = inside[:, int(ALIGNED_EYES[0])]
    rows = np.flatnonzero(column)
    lowest = float(rows[-1]) + 1 if len(rows) else 0.0
    return max(0.0, (window.top + HEIGHT / window.scale - lowest) * window.scale)


def missing_pixels(
    window: Window, aligned: AlignedPicture, crown: float, chin: float | None
) -> float:
    """Pixels of the finished picture that the photograph does not cover: rows below the shoulders or
    above a cropped head, columns of the face."""
    below = _missing_below(window, aligned.inside, aligned.inside)
    if chin is not None:
        below = max(below, _outside(_CHIN_MARGIN, HEIGHT - window.scale * (chin - window.top)))
    rows = np.flatnonzero(aligned.inside[:, int(ALIGNED_EYES[0])])
    above = 0.0
    if len(rows) and crown <= rows[0] + 1:
        above = CROWN.least + 1
    return max(below, above, _missing_aside(window, aligned))


def _missing_aside(window: Window, aligned: AlignedPicture) -> float:
    """Columns of the face, at the height of the eyes."""
    columns = np.flatnonzero(aligned.inside[int(ALIGNED_EYES[1])])
    if aligned.mesh is None or not len(columns):
        return 0.0
    left, right = aligned.mesh[:, 0].min(), aligned.mesh[:, 0].max()
    return window.scale * max(0.0, float(columns[0] - left), float(right - columns[-1]))


def cut_out(aligned: AlignedPicture, window: Window) -> Pixels:
    finished = cv2.warpAffine(
        aligned.picture,
        window.matrix(),
        (WIDTH, HEIGHT),
        flags=cv2.INTER_CUBIC if window.scale > 1 else cv2.INTER_AREA,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(255, 255, 255),
    )
    return np.asarray(finished, np.uint8)
