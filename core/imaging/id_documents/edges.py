"""How well four lines match the edges of a card that lies on something else.

Along a card's side the colour changes from without to within, and within it is the paper's
all the way. A side on the frame of the picture has nothing without.
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
    """`likeness` is 0 to 1; `beyond` are the sides (0 to 3) that lie on the frame or outside."""

    corners: Points
    likeness: float
    beyond: tuple[int, ...] = ()

    @property
    def rank(self) -> float:
        """A bigger outline is rather the card than a part of it."""
        return float(self.likeness * cv2.contourArea(self.corners) ** 0.25)


def judged(lab: Lab, corners: Points) -> Outline:
    """`lab` is CIE Lab of the picture in float32, as OpenCV scales 8 bits."""
    reach = max(3.0, 0.008 * float(side_lengths(corners)[0]))
    changes, unevenness, beyond = [], [], []
    for side in range(4):
        points, normal = _side(corners, side)
        outside = _on_frame(points + normal * reach, lab.shape)
        within = _strip(lab, points, normal, -reach)
        without = _strip(lab, points, normal, reach)
        unevenness.append(_steps(within))
        if outside.mean() > 0.5:
            beyond.append(side)
            continue
        change = np.linalg.norm((within - without) * _WEIGHTS, axis=1)[~outside]
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
    """Points along the side, and its normal that points outwards."""
    start, end = corners[side], corners[(side + 1) % 4]
    along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-6)
    normal = np.array([along[1], -along[0]], np.float32)
    return start + _ALONG * (end - start), normal


def _strip(lab: Lab, points: Points, normal: Points, reach: float) -> Lab:
    """The mean colour once and twice `reach` away from each point."""
    near, far = points + normal * reach, points + normal * 2 * reach
    both = np.stack([near, far]).astype(np.float32)
    seen = cv2.remap(
        lab, both[..., 0], both[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    mean: Lab = seen.mean(axis=0, dtype=np.float32)
    return mean


def _steps(within: Lab) -> float:
    """How often the paper changes its colour on the way: slow changes are the light's."""
    change = np.linalg.norm(within[_LAG:] - within[:-_LAG], axis=1)
    return float(np.clip(change / _UNEVEN_PAPER, 0, 1).mean())


def _on_frame(points: Points, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    x, y = points[:, 0], points[:, 1]
    found: NDArray[np.bool_] = (x < 1) | (y < 1) | (x > shape[1] - 2) | (y > shape[0] - 2)
    return found
