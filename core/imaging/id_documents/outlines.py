"""Finds the most likely outlines of a card in a photograph.

Contours are traced in lightness and both colour channels, because a card may differ from the
background in only one of them. If none is convincing, as on a patterned cloth, quadrangles are
built from straight lines.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.id_documents.edges import Outline, score_outline
from core.imaging.id_documents.geometry import RATIO, Pixels, Points, clockwise, ratio, side_lengths
from core.imaging.id_documents.straight_lines import quadrangles_of_lines

_WORK_EDGE = 720
_MIN_AREA, _MIN_AREA_SMALL = 0.05, 0.006
_MIN_LENGTH = 2.0
_RATIOS = (1.15, 2.3)
_RATIOS_CUT = (1.0, 3.0)
_CONVINCING = 0.6
_SAME = 0.012
_ELSEWHERE, _MAX_PLACES = 0.3, 3
_CANNY = ((20, 60), (8, 24))
_SIMPLIFICATIONS = (0.01, 0.015, 0.02, 0.03, 0.04, 0.055, 0.07)
_WHOLE_LIKENESS = 0.5
_WHOLE_TOLERANCE = 0.1


def find_outlines(picture: Pixels, most: int, *, is_small: bool = False) -> list[Outline]:
    """Best first, at most `most` at one place, and as many at others.

    The whole picture is a candidate too: it may be a scan of the card. `is_small` searches for
    cards that take up less of the picture.
    """
    min_area = _MIN_AREA_SMALL if is_small else _MIN_AREA
    factor = min(1.0, _WORK_EDGE / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA).astype(
        np.uint8
    )
    lab = cv2.cvtColor(cv2.GaussianBlur(small, (0, 0), 1.0), cv2.COLOR_RGB2LAB).astype(np.uint8)
    exact = lab.astype(np.float32)
    found: list[Outline] = []
    for corners in _of_contours(lab, min_area):
        if not any(_same(corners, other.corners) for other in found):
            found.append(score_outline(exact, corners))
    if not is_small and not any(outline.likeness > _CONVINCING for outline in found):
        found += [score_outline(exact, corners) for corners in quadrangles_of_lines(lab)]
    found = [outline for outline in found if _is_possible(outline)]
    found += [] if is_small else _whole(small)
    found.sort(key=lambda outline: outline.rank, reverse=True)
    return [
        Outline(outline.corners / factor, outline.likeness, outline.beyond)
        for outline in _spread(found, most)
    ]


def _spread(found: list[Outline], most: int) -> Iterator[Outline]:
    """Two cards in one picture have outlines at two places; half as many are taken of each further
    place as of the best."""
    places: list[tuple[Points, int]] = []
    for outline in found:
        middle = outline.corners.mean(axis=0)
        reach = _ELSEWHERE * float(side_lengths(outline.corners).max())
        at = next(
            (
                number
                for number, (other, _) in enumerate(places)
                if float(np.linalg.norm(other - middle)) < reach
            ),
            None,
        )
        if at is None:
            if len(places) == _MAX_PLACES:
                continue
            places.append((middle, 1))
            yield outline
        elif places[at][1] < (most if at == 0 else most // 2):
            places[at] = (places[at][0], places[at][1] + 1)
            yield outline


def _of_contours(lab: Pixels, min_area: float) -> Iterator[Points]:
    height, width = lab.shape[:2]
    for mask in _masks(lab):
        framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        contours, _ = cv2.findContours(framed, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            if len(contour) < _MIN_LENGTH * np.sqrt(min_area) * height:
                continue
            hull = cv2.convexHull(contour).astype(np.int32)
            if cv2.contourArea(hull) < min_area * height * width:
                continue
            corners = clockwise(_four_corners(hull) - 1)
            if _RATIOS_CUT[0] < ratio(corners) < _RATIOS_CUT[1]:
                yield corners


def _masks(lab: Pixels) -> Iterator[NDArray[np.uint8]]:
    for channel in np.moveaxis(lab, 2, 0).copy():
        for low, high in _CANNY:
            edges = cv2.Canny(channel, low, high, L2gradient=True)
            yield cv2.morphologyEx(edges, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)).astype(
                np.uint8
            )
            # Close the contours of cards that extend beyond the frame.
            edges[[0, -1]] = 255
            edges[:, [0, -1]] = 255
            yield cv2.morphologyEx(edges, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)).astype(
                np.uint8
            )
        _, mask = cv2.threshold(channel, 0, 255, cv2.THRESH_OTSU)
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)).astype(np.uint8)
        yield mask
        yield cv2.bitwise_not(mask).astype(np.uint8)


def _four_corners(hull: NDArray[np.int32]) -> Points:
    around = cv2.arcLength(hull, closed=True)
    for share in _SIMPLIFICATIONS:
        simple = cv2.approxPolyDP(hull, share * around, closed=True)
        if len(simple) <= 4:
            break
    if len(simple) == 4:
        return simple.reshape(4, 2).astype(np.float32)
    return cv2.boxPoints(cv2.minAreaRect(hull)).astype(np.float32)


def _same(corners: Points, other: Points) -> bool:
    tolerance = _SAME * _WORK_EDGE
    return bool(
        np.abs(corners - other).max() < tolerance
        or np.abs(np.roll(corners, 2, axis=0) - other).max() < tolerance
    )


def _is_possible(outline: Outline) -> bool:
    if len(outline.beyond) > 2:
        return False
    low, high = _RATIOS_CUT if outline.beyond else _RATIOS
    return low < ratio(outline.corners) < high and outline.likeness > 0


def _whole(small: Pixels) -> list[Outline]:
    height, width = small.shape[:2]
    frame = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    corners = clockwise(frame)
    if abs(np.log(ratio(corners) / RATIO)) > _WHOLE_TOLERANCE or side_lengths(corners)[1] < 2:
        return []
    return [Outline(corners, _WHOLE_LIKENESS)]
