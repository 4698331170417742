"""Recognises the side of a resident ID card and its orientation by colour and layout, without OCR.

The emblem side has the red national emblem at the upper left and nothing red elsewhere; the
portrait side has a head at the right and the number along the lower edge. Lengths are in mm on
the card.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.id_documents.geometry import Pixels, Points, rectify, upside_down
from core.imaging.id_documents.verdict import Side

_PX = 5
_WIDTH = 428
_EMBLEM, _AROUND_EMBLEM = (6.0, 5.5, 23.0, 22.5), (4.0, 4.0, 25.0, 25.0)
_PORTRAIT, _NUMBER = (56.0, 8.0, 78.0, 39.0), (29.0, 44.5, 80.0, 51.0)
_TITLE = (27.0, 5.0, 74.0, 28.0)
_FACE_CENTRE = (58.0, 12.0, 76.0, 34.0)
_AROUND_PORTRAIT = (50.0, 4.0, 83.0, 43.0)
_REDDER, _DARKER, _MORE_COLOURED, _INK = 24.0, 22.0, 10.0, 18.0
_WITHOUT_FACE = 0.75
_MARGIN_PX = 8
_GOOD_LIGHT, _MIN_LIGHT = 210.0, 40.0

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Recognised:
    """`confidence` per side, from 0 to 1; `corners` are those of the upright card."""

    corners: Points
    confidence: dict[Side, float]

    @property
    def side(self) -> Side:
        return max(Side, key=lambda side: self.confidence[side])

    @property
    def best(self) -> float:
        return self.confidence[self.side]


def recognise(picture: Pixels, corners: Points) -> Recognised:
    """The more likely of the two orientations."""
    ways = [
        Recognised(way, _confidence(rectify(picture, way, _WIDTH)))
        for way in (corners, upside_down(corners))
    ]
    return max(ways, key=lambda way: way.best)


def _confidence(card: Pixels) -> dict[Side, float]:
    lab = cv2.cvtColor(cv2.GaussianBlur(card, (0, 0), 1.0), cv2.COLOR_RGB2LAB).astype(np.float32)
    inner = lab[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX]
    paper = np.median(inner.reshape(-1, 3), axis=0).astype(np.float32)
    # Differences are smaller in dark pictures.
    gain = _GOOD_LIGHT / float(np.clip(paper[0], _MIN_LIGHT, _GOOD_LIGHT))
    different = (lab - paper) * np.float32(gain)
    return {
        Side.PORTRAIT_SIDE: _portrait_side(card, different, gain),
        Side.EMBLEM_SIDE: _emblem_side(different),
    }


def _emblem_side(different: NDArray[np.float32]) -> float:
    red = (different[..., 1] > _REDDER) & (different[..., 1] > 0.55 * np.abs(different[..., 2]))
    everywhere = red[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX].sum()
    around = _part(red, _AROUND_EMBLEM).sum() / max(everywhere, 1)
    filled = _part(red, _EMBLEM).mean()
    title = _between(_part(_ink(different), _TITLE).mean(), 0.01, 0.04)
    return _between(filled, 0.12, 0.3) * _between(around, 0.5, 0.8) * title


def _portrait_side(card: Pixels, different: NDArray[np.float32], gain: float) -> float:
    coloured = np.linalg.norm(different[..., 1:], axis=2) > _MORE_COLOURED
    head = _part((np.abs(different[..., 0]) > _DARKER) | coloured, _PORTRAIT).mean()
    if head < 0.35:
        return 0.0
    number = _between(_part(_ink(different), _NUMBER).mean(), 0.02, 0.1)
    similar = _between(head, 0.35, 0.5) * (0.4 + 0.6 * number)
    return similar if _has_face(card, gain) else _WITHOUT_FACE * similar


def _ink(different: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Strokes that are darker than the paper and than their surroundings."""
    light = np.ascontiguousarray(different[..., 0])
    strokes = cv2.morphologyEx(light, cv2.MORPH_BLACKHAT, np.ones((11, 11), np.uint8))
    found: NDArray[np.bool_] = (strokes > _INK) & (light < -_INK)
    return found


def has_face(card: Pixels) -> bool:
    """Whether there is a face where the portrait is; tried harder than when the side is unknown."""
    bright = float(np.median(cv2.cvtColor(card, cv2.COLOR_RGB2GRAY)))
    gain = _GOOD_LIGHT / float(np.clip(bright, _MIN_LIGHT, _GOOD_LIGHT))
    if _has_face(card, gain):
        return True
    left, top, right, bottom = (int(edge * _PX) for edge in _AROUND_PORTRAIT)
    grey = cv2.cvtColor(card[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    even = cv2.createCLAHE(2.0, (4, 4)).apply(grey)
    large = cv2.resize(even, None, fx=1.6, fy=1.6, interpolation=cv2.INTER_CUBIC)
    found = _faces().detectMultiScale(large, 1.05, 1, minSize=(70, 70))
    return len(found) > 0


def _has_face(card: Pixels, gain: float) -> bool:
    grey = cv2.convertScaleAbs(cv2.cvtColor(card, cv2.COLOR_RGB2GRAY), alpha=gain)
    left, top, right, bottom = _FACE_CENTRE
    found = _faces().detectMultiScale(grey, 1.08, 2, minSize=(55, 55), maxSize=(150, 150))
    return any(
        left < (x + width / 2) / _PX < right and top < (y + height / 2) / _PX < bottom
        for x, y, width, height in found
    )


@cache
def _faces() -> cv2.CascadeClassifier:
    folder = Path(cv2.__file__).parent / "data"
    return cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))


def _part(values: NDArray[np.bool_], box: Box) -> NDArray[np.bool_]:
    left, top, right, bottom = (int(edge * _PX) for edge in box)
    return values[top:bottom, left:right]


def _between(value: float, none: float, full: float) -> float:
    return float(np.clip((value - none) / (full - none), 0, 1))
