"""Builds quadrangles from the longest straight lines of a picture."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.id_documents.geometry import Pixels, Points, clockwise, ratio

_MAX_LINES = 20
_MIN_LENGTH = 0.02
_BESIDE_PX, _BESIDE_RADIANS = 3.0, 0.06
_PARALLEL, _ACROSS = 0.45, 0.9
_MIN_DISTANCE = 0.15
_MIN_AREA = 0.06
_RATIOS = (1.25, 2.05)


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    point: Points
    along: Points
    length: float

    @property
    def angle(self) -> float:
        return float(np.arctan2(self.along[1], self.along[0]) % np.pi)


def quadrangles_of_lines(lab: Pixels) -> Iterator[Points]:
    height, width = lab.shape[:2]
    lines = _longest(_segments(lab))
    pairs = [
        pair
        for pair in itertools.combinations(lines, 2)
        if _between(pair[0], pair[1]) < _PARALLEL
        and _distance(pair[0], pair[1]) > _MIN_DISTANCE * min(height, width)
    ]
    for (first, third), (second, fourth) in itertools.combinations(pairs, 2):
        if first in (second, fourth) or third in (second, fourth):
            continue
        if _between(first, second) < _ACROSS:
            continue
        corners = _crossings(first, second, third, fourth)
        if _is_in(corners, width, height) and cv2.isContourConvex(corners):
            found = clockwise(corners)
            if (
                _RATIOS[0] < ratio(found) < _RATIOS[1]
                and cv2.contourArea(found) > _MIN_AREA * height * width
            ):
                yield found


def _segments(lab: Pixels) -> NDArray[np.float32]:
    """Rows of x, y, x, y from all channels, longest first."""
    detector = cv2.createLineSegmentDetector(cv2.LSD_REFINE_NONE)
    found = [detector.detect(channel)[0] for channel in cv2.split(lab)]
    rows = [segments[:, 0] for segments in found if segments is not None]
    if not rows:
        return np.empty((0, 4), np.float32)
    segments: NDArray[np.float32] = np.concatenate(rows).astype(np.float32)
    lengths = np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1])
    order = np.argsort(-lengths)
    long: NDArray[np.float32] = segments[order][lengths[order] > _MIN_LENGTH * max(lab.shape)]
    return long


def _longest(segments: NDArray[np.float32]) -> list[_Line]:
    """Merges collinear segments into lines; a line's length is the sum of its segments."""
    starts, ends = segments[:, :2], segments[:, 2:]
    ways = ends - starts
    lengths = np.hypot(ways[:, 0], ways[:, 1])
    angles = np.arctan2(ways[:, 1], ways[:, 0]) % np.pi
    left = np.ones(len(segments), bool)
    lines = []
    for number in range(len(segments)):
        if not left[number]:
            continue
        normal = np.array([-np.sin(angles[number]), np.cos(angles[number])], np.float32)
        middle = (starts[number] + ends[number]) / 2
        away = np.maximum(np.abs((starts - middle) @ normal), np.abs((ends - middle) @ normal))
        turned = np.abs((angles - angles[number] + np.pi / 2) % np.pi - np.pi / 2)
        same = left & (away < _BESIDE_PX) & (turned < _BESIDE_RADIANS)
        left &= ~same
        points = np.concatenate([starts[same], ends[same]]).astype(np.float32)
        fit = cv2.fitLine(points, cv2.DIST_HUBER, 0, 0.01, 0.01).ravel().astype(np.float32)
        lines.append(_Line(fit[2:], fit[:2], float(lengths[same].sum())))
    lines.sort(key=lambda line: line.length, reverse=True)
    return lines[:_MAX_LINES]


def _between(one: _Line, other: _Line) -> float:
    """The angle between two lines in radians, at most π/2."""
    return abs((one.angle - other.angle + np.pi / 2) % np.pi - np.pi / 2)


def _distance(one: _Line, other: _Line) -> float:
    normal = np.array([-one.along[1], one.along[0]], np.float32)
    return abs(float((other.point - one.point) @ normal))


def _crossings(*lines: _Line) -> Points:
    """The intersection of each of four lines with the next."""
    points = []
    for one, other in zip(lines, (*lines[1:], lines[0]), strict=True):
        matrix = np.array([one.along, -other.along]).T
        step = np.linalg.solve(matrix, other.point - one.point)[0]
        points.append(one.point + step * one.along)
    return np.array(points, np.float32)


def _is_in(corners: Points, width: int, height: int) -> bool:
    margin = 0.02 * width
    low, high = corners.min(axis=0), corners.max(axis=0)
    return bool((low > -margin).all() and high[0] < width + margin and high[1] < height + margin)
