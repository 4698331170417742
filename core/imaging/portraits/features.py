"""What can be seen of eyes, nose, mouth and chin, by the landmarks in the aligned picture.

Landmarks say where a feature lies, also where something hides it: whether it can be seen is judged by
what is drawn there. Lightness is CIELAB's L; the limits come from photographs (`docs/portraits.md`).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from core.imaging.portraits.face import Pixels, Points
from core.imaging.portraits.framing import Mask
from core.imaging.portraits.measures import Floats, in_lab

_EYES = (
    [33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7],
    [263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249],
)
"""Outlines, from the outer corner along the upper lid to the inner one (the ninth) and back."""
_LIPS = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
_BETWEEN_LIPS = [
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324),
    *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
]
_MOUTH_CORNERS, _UPPER_LIP, _LOWER_LIP = (78, 308), 13, 14
_NOSTRILS = [98, 327, 60, 290, 240, 460, 2, 97, 326]
_NOSE_TIP = [4, 5, 1]
_UNDER_EYES, _OVER_EYES = (23, 253), (223, 443)
_CHEEKS, _FOREHEAD = [50, 280, 205, 425], [151, 9, 108, 337]
_UPPER_CHEEKS = [118, 347, 50, 280, 117, 346, 119, 348]
_CHIN = [199, 200, 201, 421, 175]
_CHIN_EDGE = ((152, 200), (148, 201), (377, 421), (176, 194), (400, 418))
"""Landmarks on the lower edge of the face, each with one further up."""
_EDGE_SHARE = 0.7

_MIN_NOSTRILS, _FAINT_NOSTRILS = 0.12, 0.35
_MIN_MOUTH, _FAINT_MOUTH = 0.125, 0.2
"""Of the lightness of the cheeks: below the first it is hidden, and below the second if both are."""
_MAX_CHIN = 25.0
_MIN_SMILE = 8.0
"""Gap between the lips, in percent of the mouth's width, that is told only of lips that are seen."""
_MIN_EYE, _FAINT_EYE, _MIN_EYE_SHARE, _CLEAR_EYE_SHARE = 6.0, 10.5, 0.365, 0.5
_SEEN_THROUGH = 0.6
MIN_OPENING, _MIN_SQUINT = 14.0, 11.5
"""Percent of an eye's width: below it is closed, unless a squint shows a dark pupil."""
_DARK_PUPIL = 0.25


@dataclass(frozen=True, slots=True)
class Features:
    """`eyes` and `lower_parts` are how many are visible: of two eyes; of nose, mouth and chin.

    `opening` is the height of the narrower eye in percent of its width, `gap` that between the lips in
    percent of the mouth's. `lens` is by how much eyes without a white, or the skin around them, are
    darker than cheeks and forehead, `glare` the percentage of an eye that reflections make white.
    `white_of_eyes` is its lightness.
    """

    eyes: int
    lower_parts: int
    opening: float
    gap: float
    lens: float
    glare: float
    white_of_eyes: float


def find_features(aligned: Pixels, mesh: Points) -> Features:
    lab = in_lab(np.asarray(cv2.GaussianBlur(aligned, (0, 0), 1.2), np.uint8))
    eyes = [_inside(lab, mesh[outline, :2])[:, 0] for outline in _EYES]
    skin = max(float(place[0]) for place in _bare_skin(lab, mesh))
    opening, visible = _narrower_opening(mesh, eyes, skin), sum(map(_is_visible, eyes))
    lens = _darker_around(lab, mesh)
    if visible or opening < MIN_OPENING:
        lens *= _SEEN_THROUGH
    else:
        lens = max(lens, skin - max(float(np.median(eye)) if len(eye) else 0.0 for eye in eyes))
    return Features(
        eyes=visible,
        lower_parts=_lower_parts(lab, mesh),
        opening=opening,
        gap=_gap(mesh),
        lens=lens,
        glare=max(_glare(aligned, mesh[outline, :2]) for outline in _EYES),
        white_of_eyes=max(float(np.percentile(eye, 90)) if len(eye) else 0.0 for eye in eyes),
    )


def _lower_parts(lab: Floats, mesh: Points) -> int:
    cheeks = max(1.0, float(_bare_skin(lab, mesh)[0][0]))
    nose, mouth = _nostrils(lab, mesh) / cheeks, _mouth(lab, mesh) / cheeks
    smiles = _gap(mesh) >= _MIN_SMILE
    both_faint = nose < _FAINT_NOSTRILS and mouth < _FAINT_MOUTH
    return sum(
        (
            nose >= _MIN_NOSTRILS,
            smiles or (mouth >= _MIN_MOUTH and not both_faint),
            _chin(lab, mesh) <= _MAX_CHIN,
        )
    )


def _narrower_opening(mesh: Points, eyes: list[Floats], skin: float) -> float:
    opening = min(_opening(mesh[outline, :2]) for outline in _EYES)
    if opening >= _MIN_SQUINT and all(_has_dark_pupil(eye, skin) for eye in eyes):
        return max(opening, MIN_OPENING)
    return opening


def _is_visible(eye: Floats) -> bool:
    """Whether there is a contrast between the white and the pupil: less in the shadow."""
    if not len(eye):
        return False
    pupil, white = np.percentile(eye, (10, 95))
    contrast = white - pupil
    is_clear = contrast >= _FAINT_EYE or contrast >= _CLEAR_EYE_SHARE * white
    return bool(is_clear and contrast >= max(_MIN_EYE, _MIN_EYE_SHARE * white))


def _has_dark_pupil(eye: Floats, skin: float) -> bool:
    return bool(len(eye) and np.percentile(eye, 10) < _DARK_PUPIL * skin)


def _opening(outline: Points) -> float:
    width = np.hypot(*(outline[8] - outline[0]))
    heights = [np.hypot(*(outline[upper] - outline[16 - upper])) for upper in (3, 4, 5)]
    return float(100 * np.mean(heights) / width)


def _gap(mesh: Points) -> float:
    left, right = mesh[list(_MOUTH_CORNERS), :2]
    height = np.hypot(*(mesh[_UPPER_LIP] - mesh[_LOWER_LIP])[:2])
    return float(100 * height / np.hypot(*(right - left)))


def _darker_around(lab: Floats, mesh: Points) -> float:
    """The darker part of the clearer eye: of dark glasses both are dark, and below the eyes too."""
    cheek, forehead = _median(lab, mesh, _CHEEKS)[0], _median(lab, mesh, _FOREHEAD)[0]
    below = max(_median(lab, mesh, [point], 4)[0] - cheek for point in _UNDER_EYES)
    above = max(_median(lab, mesh, [point], 4)[0] - forehead for point in _OVER_EYES)
    return float(-max(below, above))


def _glare(aligned: Pixels, outline: Points) -> float:
    middle = outline.mean(axis=0)
    around = _inside(aligned, (outline - middle) * (1.3, 2.2) + middle)
    return float(100 * (around.min(axis=1) >= 240).mean()) if len(around) else 0.0


def _nostrils(lab: Floats, mesh: Points) -> float:
    """By how much the nostrils are darker than the tip of the nose."""
    darkest = min(np.percentile(_around(lab, mesh[point], 5)[:, 0], 10) for point in _NOSTRILS)
    return float(_median(lab, mesh, _NOSE_TIP)[0] - darkest)


def _mouth(lab: Floats, mesh: Points) -> float:
    """How much the lips differ from the skin around them, and the line between them from both."""
    lips = _mask(lab.shape, mesh[_LIPS, :2])
    between = _mask(lab.shape, mesh[_BETWEEN_LIPS, :2])
    around = _grown(lips, 15) & ~_grown(lips, 5)
    inside = lab[lips & ~between]
    if not len(inside) or not around.any():
        return 0.0
    colour = np.median(inside, axis=0) - np.median(lab[around], axis=0)
    left, right = (int(mesh[corner, 0]) for corner in _MOUTH_CORNERS)
    middle = int(mesh[[_UPPER_LIP, _LOWER_LIP], 1].mean())
    rows = lab[middle - 14 : middle + 15, left + 4 : right - 3, 0].mean(axis=1)
    line = np.median(rows) - rows[8:21].min() if len(rows) == 29 else 0.0
    return float(np.hypot(colour[0], colour[1]) + max(0.0, line) / 2)


def _chin(lab: Floats, mesh: Points) -> float:
    """Difference in colour, not in lightness, from skin: a beard is dark, a scarf coloured.

    Of the chin, or of its lower edge, whichever differs more.
    """
    edge, inner = (mesh[list(points)] for points in zip(*_CHIN_EDGE, strict=True))
    places = (mesh[_CHIN], _EDGE_SHARE * edge + (1 - _EDGE_SHARE) * inner)
    skins = _bare_skin(lab, mesh)
    return max(
        min(float(np.hypot(*(_median_at(lab, place) - skin)[1:])) for skin in skins)
        for place in places
    )


def _bare_skin(lab: Floats, mesh: Points) -> tuple[Floats, Floats]:
    """Cheeks, where no mask reaches but glasses may, and forehead, where hair may."""
    return _median(lab, mesh, _UPPER_CHEEKS), _median(lab, mesh, _FOREHEAD)


def _median(lab: Floats, mesh: Points, points: list[int], reach: int = 6) -> Floats:
    return _median_at(lab, mesh[points], reach)


def _median_at(lab: Floats, places: Points, reach: int = 6) -> Floats:
    around = np.concatenate([_around(lab, place, reach) for place in places])
    return np.asarray(np.median(around, axis=0), np.float32)


def _around(lab: Floats, point: Points, reach: int) -> Floats:
    height, width = lab.shape[:2]
    x = int(np.clip(round(point[0]), reach, width - reach - 1))
    y = int(np.clip(round(point[1]), reach, height - reach - 1))
    return lab[y - reach : y + reach + 1, x - reach : x + reach + 1].reshape(-1, 3)


def _inside(picture: Floats | Pixels, outline: Points) -> Floats:
    return np.asarray(picture[_mask(picture.shape, outline)])


def _mask(shape: tuple[int, ...], outline: Points) -> Mask:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
    return mask > 0


def _grown(mask: Mask, size: int) -> Mask:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)) > 0)
