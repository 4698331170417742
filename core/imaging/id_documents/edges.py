"""Scores how well four lines match the edges of a card.

Across a card's edge the colour changes, and along its inner side the colour is constant. A side on
the frame of the picture has no outer side.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.id_documents.geometry import RATIO, Points, ratio, side_lengths

Lab = NDArray[np.float32]

_ALONG = np.linspace(0.08, 0.92, 48, dtype=np.float32)[:, None]
_LAG = 8
_CLEAR_EDGE = 10.0
_UNEVEN_PAPER = 24.0
_WEIGHTS = np.array([0.8, 1, 1], np.float32)
_RATIO_SPREAD = 0.22
_UNSEEN = 0.8


@dataclass(frozen=True, slots=True)
class Outline:
    """`likeness` is a score from 0 to 1; `beyond` are the sides (0 to 3) on or outside the frame."""

    corners: Points
    likeness: float
    beyond: tuple[int, ...] = ()

    @property
    def rank(self) -> float:
        """Prefers larger outlines, because smaller ones may be parts of the card."""
        return float(self.likeness * cv2.contourArea(self.corners) ** 0.25)


def score_outline(lab: Lab, corners: Points) -> Outline:
    """`lab` is the picture in CIELAB as float32, in OpenCV's 8-bit scaling."""
    reach = max(3.0, 0.008 * float(side_lengths(corners)[0]))
    changes, unevenness, beyond = [], [], []
    for side in range(4):
        points, normal = _side(corners, side)
        outside = _on_frame(points + normal * reach, lab.shape)
        within = _strip(lab, points, normal, -reach)
        outer = _strip(lab, points, normal, reach)
        unevenness.append(_steps(within))
        if outside.mean() > 0.5:
            beyond.append(side)
            continue
        change = np.linalg.norm((within - outer) * _WEIGHTS, axis=1)[~outside]
        changes.append(float(np.clip(change / _CLEAR_EDGE, 0, 1).mean()))
    if len(changes) < 2:
        return Outline(corners, 0.0, tuple(beyond))
    edge = 0.5 * float(np.mean(changes)) + 0.5 * min(changes)
    likeness = edge * (1 - float(np.mean(unevenness))) ** 2
    shape = 1.0 if beyond else 0.4 + 0.6 * _proportion(corners)
    return Outline(corners, likeness * shape * _UNSEEN ** len(beyond), tuple(beyond))


def _proportion(corners: Points) -> float:
    return float(np.exp(-((np.log(ratio(corners) / RATIO) / _RATIO_SPREAD) ** 2)))


def _side(corners: Points, side: int) -> tuple[Points, Points]:
    """Points along the side, and its outward normal."""
    start, end = corners[side], corners[(side + 1) % 4]
    along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-6)
    normal = np.array([along[1], -along[0]], np.float32)
    return start + _ALONG * (end - start), normal


def _strip(lab: Lab, points: Points, normal: Points, reach: float) -> Lab:
    """The mean colour at `reach` and twice `reach` from each point."""
    near, far = points + normal * reach, points + normal * 2 * reach
    both = np.stack([near, far]).astype(np.float32)
    seen = cv2.remap(
        lab, both[..., 0], both[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    mean: Lab = seen.mean(axis=0, dtype=np.float32)
    return mean


def _steps(within: Lab) -> float:
    """Colour variation over short distances; slow variation is caused by lighting."""
    change = np.linalg.norm(within[_LAG:] - within[:-_LAG], axis=1)
    return float(np.clip(change / _UNEVEN_PAPER, 0, 1).mean())


def _on_frame(points: Points, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    x, y = points[:, 0], points[:, 1]
    found: NDArray[np.bool_] = (x < 1) | (y < 1) | (x > shape[1] - 2) | (y > shape[0] - 2)
    return found
