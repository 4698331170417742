"""Detects the ID card in a photograph: combines outline detection with recognition of its sides."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from core.imaging.id_documents.edges import Lab, Outline, score_outline
from core.imaging.id_documents.fitting import refine_corners
from core.imaging.id_documents.geometry import RATIO, Pixels, Points, clockwise, side_lengths
from core.imaging.id_documents.outlines import find_outlines
from core.imaging.id_documents.sides import Recognised, recognise

_CANDIDATES = 8
_SMOOTH_PX = 1.2
_MIN_LIKENESS = 0.3
_MIN_CONFIDENCE = 0.4
_MAX_MISSING = 0.45
_UNRECOGNISED = 0.3
_LIKELY, _CERTAIN = (0.4, 0.4), (0.5, 0.8)
"""Likeness and confidence: of a card that needs no further search, and of a small one."""
_SAME_CORNERS, _SAME_PLACE = 0.006, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """`missing` is the fraction of the card outside the picture; `is_completed` is true if sides
    outside the frame were extrapolated from the card's proportions.
    """

    recognised: Recognised
    likeness: float
    missing: float
    is_completed: bool

    @property
    def corners(self) -> Points:
        return self.recognised.corners


def find_cards(picture: Pixels) -> list[Card]:
    """The most likely card first, whether or not it is an ID card; then others beside it.

    If no ID card is seen, smaller ones are searched for.
    """
    found = _cards(picture, find_outlines(picture, _CANDIDATES))
    if not any(_is_convincing(card, _LIKELY) for card in found):
        small = _cards(picture, find_outlines(picture, _CANDIDATES, is_small=True))
        found = [card for card in small if _is_convincing(card, _CERTAIN)] + found
    return [card for card in found if _is_seen(card)]


def _is_convincing(card: Card, least: tuple[float, float]) -> bool:
    likeness, confidence = least
    return card.likeness >= likeness and card.recognised.best >= confidence


def beside(card: Card, others: list[Card]) -> list[Card]:
    """Those that lie elsewhere in the picture."""
    return [other for other in others if _overlap(card.corners, other.corners) < _SAME_PLACE]


def _cards(picture: Pixels, outlines: list[Outline]) -> list[Card]:
    smooth = cv2.GaussianBlur(picture, (0, 0), _SMOOTH_PX)
    lab: Lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).astype(np.float32)
    found: list[tuple[float, Card]] = []
    for outline in outlines:
        for corners in _completed(refine_corners(lab, outline), outline):
            if any(_is_same(corners, card.corners) for _, card in found):
                continue
            missing = _missing(corners, picture.shape)
            if missing > _MAX_MISSING:
                continue
            exact = score_outline(lab, corners)
            likeness = outline.likeness if exact.beyond else exact.likeness
            card = Card(recognise(picture, corners), likeness, missing, bool(outline.beyond))
            weight = _UNRECOGNISED + (1 - _UNRECOGNISED) * card.recognised.best
            found.append((outline.rank * weight, card))
    found.sort(key=lambda entry: entry[0], reverse=True)
    return [card for _, card in found]


def _is_seen(card: Card) -> bool:
    return card.likeness >= _MIN_LIKENESS or card.recognised.best >= _MIN_CONFIDENCE


def _is_same(corners: Points, other: Points) -> bool:
    tolerance = _SAME_CORNERS * float(side_lengths(corners)[0])
    return any(
        float(np.abs(np.roll(corners, turn, axis=0) - other).max()) < tolerance for turn in (0, 2)
    )


def _overlap(corners: Points, other: Points) -> float:
    """The common area as a share of the smaller one."""
    common, _ = cv2.intersectConvexConvex(corners.astype(np.float32), other.astype(np.float32))
    smaller = min(cv2.contourArea(corners), cv2.contourArea(other))
    return float(common) / max(float(smaller), 1.0)


def _completed(corners: Points, outline: Outline) -> Iterator[Points]:
    """Extrapolates sides outside the frame from the card's proportions, in both orientations."""
    if not outline.beyond:
        yield corners
        return
    for long_first in (True, False):
        turned = corners if long_first else np.roll(corners, -1, axis=0)
        beyond = [side if long_first else (side - 1) % 4 for side in outline.beyond]
        whole = _stretched(turned, beyond)
        if whole is not None:
            yield whole if long_first else clockwise(whole)


def _stretched(corners: Points, beyond: list[int]) -> Points | None:
    """Takes the first side as a long one. None if the card would have to shrink."""
    sides = side_lengths(corners)
    whole = corners.copy()
    for side in beyond:
        across = (sides[(side + 1) % 4] + sides[(side - 1) % 4]) / 2
        opposite = sides[(side + 2) % 4]
        should = opposite / RATIO if side % 2 == 0 else opposite * RATIO
        factor = float(should / max(across, 1e-3))
        if factor < 0.97:
            return None
        for corner, fixed in ((side, side - 1), ((side + 1) % 4, (side + 2) % 4)):
            whole[corner] = corners[fixed] + factor * (corners[corner] - corners[fixed])
    return whole


def _missing(corners: Points, shape: tuple[int, ...]) -> float:
    height, width = shape[:2]
    frame = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    whole = float(cv2.contourArea(corners))
    inside, _ = cv2.intersectConvexConvex(corners.astype(np.float32), frame)
    return max(0.0, 1 - float(inside) / max(whole, 1.0))
