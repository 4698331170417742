"""Quadrangles in a picture, and rectification of the card in one.

Pictures are RGB arrays; points are x, y in px. The corners of a card are four points,
clockwise, the first side a long one.
"""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
Points: TypeAlias = NDArray[np.float32]

RATIO = 85.60 / 53.98
"""Aspect ratio of an ID-1 card (ISO/IEC 7810)."""


def clockwise(points: Points) -> Points:
    """Sorts corners clockwise from the upper left, with a long side first."""
    middle = points.mean(axis=0)
    turned = np.arctan2(points[:, 1] - middle[1], points[:, 0] - middle[0])
    corners = points[np.argsort(turned)].astype(np.float32)
    sides = side_lengths(corners)
    if sides[0] + sides[2] < sides[1] + sides[3]:
        corners = np.roll(corners, -1, axis=0)
    return corners


def upside_down(corners: Points) -> Points:
    return np.roll(corners, 2, axis=0)


def side_lengths(corners: Points) -> Points:
    """Lengths in the order of the corners at which the sides start."""
    lengths: Points = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return lengths


def ratio(corners: Points) -> float:
    sides = side_lengths(corners)
    return float((sides[0] + sides[2]) / max(sides[1] + sides[3], 1e-3))


def is_standing(corners: Points) -> bool:
    """Whether the long side is vertical in the picture."""
    across, down = np.abs(corners[1] - corners[0])
    return bool(down > across)


def rectify(picture: Pixels, corners: Points, width: int) -> Pixels:
    """The card without perspective, `width` px wide; areas outside the picture repeat its border."""
    height = round(width / RATIO)
    target = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    shrinks = side_lengths(corners)[0] / width
    if shrinks > 1.5:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.35 * float(shrinks)).astype(np.uint8)
    found: Pixels = cv2.warpPerspective(
        picture,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR if shrinks > 1 else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.uint8)
    return found
