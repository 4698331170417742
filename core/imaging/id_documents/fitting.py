"""Refines corners to the pixel: fits a line to the strongest edge of each side and intersects them.

A card's corners are rounded, so that the contour cuts them off; the intersections do not.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.id_documents.edges import Outline
from core.imaging.id_documents.geometry import Points, side_lengths

Lab = NDArray[np.float32]

_ALONG = np.linspace(0.1, 0.9, 64, dtype=np.float32)
_REACHES = (0.03, 0.012)
_TRIES = 60
_MIN_INLIERS = 10
_MAX_MOVED = 0.08
_WEIGHTS = np.array([0.8, 1, 1], np.float32)


def refine_corners(lab: Lab, outline: Outline) -> Points:
    """The refined corners of the outline; sides outside the frame are not moved."""
    corners = outline.corners
    size = float(side_lengths(corners)[0])
    for reach in _REACHES:
        lines = [
            _through(corners, side) if side in outline.beyond else _edge(lab, corners, side, reach)
            for side in range(4)
        ]
        moved = _crossings(lines)
        if moved is None or np.abs(moved - outline.corners).max() > _MAX_MOVED * size:
            return corners
        corners = moved
    return corners


def _through(corners: Points, side: int) -> tuple[Points, Points]:
    """A point on the side, and its direction."""
    start, end = corners[side], corners[(side + 1) % 4]
    return start, (end - start) / max(float(np.linalg.norm(end - start)), 1e-6)


def _edge(lab: Lab, corners: Points, side: int, share: float) -> tuple[Points, Points]:
    size = float(side_lengths(corners)[0])
    reach = share * size
    start, along = _through(corners, side)
    end = corners[(side + 1) % 4]
    normal = np.array([along[1], -along[0]], np.float32)
    offsets = np.linspace(-reach, reach, max(3, int(2 * reach) + 1), dtype=np.float32)
    grid = (start + _ALONG[:, None] * (end - start))[:, None] + offsets[None, :, None] * normal
    profile = cv2.remap(
        lab, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    profile = cv2.GaussianBlur(profile, (0, 0), sigmaX=max(1.0, 0.002 * size), sigmaY=0.1)
    steps = np.linalg.norm(np.gradient(profile, axis=1) * _WEIGHTS, axis=2)
    strongest = steps.argmax(axis=1)
    points = grid[np.arange(len(_ALONG)), strongest]
    inliers = _inliers(_ALONG, offsets[strongest], max(1.2, 0.0025 * size))
    seen = inliers & _is_inside(points, lab.shape)
    if seen.sum() < _MIN_INLIERS:
        return start, along
    fit = cv2.fitLine(points[seen], cv2.DIST_L2, 0, 0.01, 0.01).ravel().astype(np.float32)
    return fit[2:], fit[:2]


def _inliers(along: Points, offsets: Points, tolerance: float) -> NDArray[np.bool_]:
    """The largest set of points on one line (RANSAC)."""
    rng = np.random.default_rng(0)
    best = np.zeros(len(along), bool)
    for _ in range(_TRIES):
        one, other = rng.choice(len(along), 2, replace=False)
        if abs(along[one] - along[other]) < 0.2:
            continue
        slope = (offsets[other] - offsets[one]) / (along[other] - along[one])
        near = np.abs(offsets - offsets[one] - slope * (along - along[one])) < tolerance
        if near.sum() > best.sum():
            best = near
    return best


def _crossings(lines: list[tuple[Points, Points]]) -> Points | None:
    points = []
    for side in range(4):
        (one, one_way), (other, other_way) = lines[side - 1], lines[side]
        matrix = np.array([one_way, -other_way]).T
        if abs(float(np.linalg.det(matrix))) < 1e-3:
            return None
        step = np.linalg.solve(matrix, other - one)[0]
        points.append(one + step * one_way)
    return np.array(points, np.float32)


def _is_inside(points: Points, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    x, y = points[:, 0], points[:, 1]
    found: NDArray[np.bool_] = (x > 2) & (y > 2) & (x < shape[1] - 3) & (y < shape[0] - 3)
    return found
