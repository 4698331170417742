"""Shape and pose of the head in the aligned picture: by landmarks, or without them by the skin's colour."""

from dataclasses import dataclass

import cv2
import numpy as np

from core.imaging.portraits import landmarks
from core.imaging.portraits.face import Pixels, Points
from core.imaging.portraits.framing import ALIGNED_EYES, EYE_DISTANCE, AlignedPicture
from core.imaging.portraits.measures import Floats, in_lab

PROFILE = 90.0
"""Degrees by which a face in profile is turned."""

_X, _Y = ALIGNED_EYES
_CROWN_ABOVE_EYES = 1.9 * EYE_DISTANCE
_LEVEL_PITCH = 17.0
"""Degrees by which the jaw lies behind the eyes in a head held level: median of 204 portraits."""
_EYES_BEFORE_AXIS = 0.75
"""How far the eyes lie before the axis that a head turns about, in halves of the face's width."""
_BLUR_REACH = 8


@dataclass(frozen=True, slots=True)
class Head:
    """Columns where the ears join the face (脸部宽), the usual row of the crown, that of the chin;
    degrees by which the head is turned aside, and raised (below 0: bowed).

    `chin` and `pitch` are None without landmarks.
    """

    left: float
    right: float
    usual_crown: float
    chin: float | None
    yaw: float
    pitch: float | None

    @property
    def width(self) -> float:
        return self.right - self.left


def measure_head(aligned: AlignedPicture) -> Head:
    return _by_skin(aligned.picture) if aligned.mesh is None else _by_landmarks(aligned.mesh)


def _by_landmarks(mesh: Points) -> Head:
    left, right = mesh[landmarks.LEFT_CHEEK], mesh[landmarks.RIGHT_CHEEK]
    across = right - left
    down = mesh[landmarks.JAW].mean(axis=0) - mesh[landmarks.EYE_CORNERS].mean(axis=0)
    chin, forehead = mesh[landmarks.CHIN, 1], mesh[landmarks.FOREHEAD, 1]
    return Head(
        left=float(left[0]),
        right=float(right[0]),
        usual_crown=float(min(forehead - 0.2 * (chin - forehead), _Y - _CROWN_ABOVE_EYES)),
        chin=float(chin),
        yaw=abs(float(np.degrees(np.arctan2(across[2], across[0])))),
        pitch=_LEVEL_PITCH - float(np.degrees(np.arctan2(down[2], down[1]))),
    )


def _by_skin(aligned: Pixels) -> Head:
    """Follows the skin outwards from the cheeks to its end, row by row."""
    rows = [int(_Y + down * EYE_DISTANCE) for down in np.linspace(0.25, 0.85, 13)]
    first = rows[0] - _BLUR_REACH
    blurred = cv2.GaussianBlur(aligned[first : rows[-1] + _BLUR_REACH + 1], (0, 0), 1.5)
    reaches: dict[int, list[float]] = {-1: [], 1: []}
    for row in in_lab(np.asarray(blurred, np.uint8)[[row - first for row in rows]]):
        for side, found in reaches.items():
            start = int(_X + side * 0.35 * EYE_DISTANCE)
            within = slice(min(start, start + side * 22), max(start, start + side * 22) + 1)
            found.append(_end_of_skin(row, start, side, np.median(row[within], axis=0)))
    left, right = (
        _X + side * np.clip(np.percentile(found, 70), 0.6 * EYE_DISTANCE, 1.5 * EYE_DISTANCE)
        for side, found in reaches.items()
    )
    aside = abs(_X - (left + right) / 2) / ((right - left) / 2)
    return Head(
        left=float(left),
        right=float(right),
        usual_crown=_Y - _CROWN_ABOVE_EYES,
        chin=None,
        yaw=float(np.degrees(np.arcsin(min(1.0, aside / _EYES_BEFORE_AXIS)))),
        pitch=None,
    )


def _end_of_skin(row: Floats, start: int, side: int, skin: Floats) -> float:
    reach = row[start : start + side * int(EYE_DISTANCE * 1.2) : side]
    difference = np.abs(reach - skin)
    odd = np.hypot(difference[:, 0] * 0.55, np.hypot(difference[:, 1], difference[:, 2])) > 13
    runs = np.convolve(odd, np.ones(4), "valid") >= 4
    ends = np.flatnonzero(runs)
    length = ends[0] if len(ends) else len(reach)
    return float(abs(start - _X) + length)
