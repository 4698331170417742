"""A face in a picture, and the scaling of pictures."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """Positions in pixels of the searched picture; `left_eye` is on the left side of the picture.

    `mesh` are its landmarks as in `landmarks.py`; None if their weights are not installed.
    """

    left_eye: Point
    right_eye: Point
    width: float
    eyes_found: bool
    mesh: Points | None = None

    @property
    def middle(self) -> Point:
        """The midpoint between the eyes."""
        return to_point((np.array(self.left_eye) + self.right_eye) / 2)

    @property
    def eye_distance(self) -> float:
        return float(np.hypot(*np.subtract(self.right_eye, self.left_eye)))

    @property
    def tilt(self) -> float:
        """Degrees, clockwise in the picture."""
        across, down = np.subtract(self.right_eye, self.left_eye)
        return float(np.degrees(np.arctan2(down, across)))

    def moved(self, by: float) -> "Face":
        """In a picture with so many more pixels at the left and at the top."""
        (left_x, left_y), (right_x, right_y) = self.left_eye, self.right_eye
        return Face(
            (left_x + by, left_y + by),
            (right_x + by, right_y + by),
            self.width,
            self.eyes_found,
            None if self.mesh is None else self.mesh + np.array((by, by, 0)),
        )


def to_point(centre: Points) -> Point:
    return float(centre[0]), float(centre[1])


def shrunk(picture: Pixels, factor: float) -> Pixels:
    """Area averaging; halving first, which is twenty times as fast in OpenCV."""
    while factor <= 0.5:
        picture, factor = halved(picture), 2 * factor
    if factor > 0.999:
        return picture
    resized = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def halved_towards(picture: Pixels, scale: float) -> tuple[Pixels, float]:
    """Halved while it stays larger than `scale` asks; and by how much it was shrunk."""
    shrink = 1.0
    while scale <= 0.5 * shrink:
        picture, shrink = halved(picture), shrink / 2
    return picture, shrink


def halved(picture: Pixels) -> Pixels:
    height, width = (edge // 2 for edge in picture.shape[:2])
    even = picture[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def brightened(picture: Pixels) -> Pixels:
    """Dark pictures as if well lit, without their noise, for the detection of faces."""
    low, high = np.percentile(picture, (0.5, 90))
    levels = np.clip((np.arange(256) - low) / max(high - low, 1), 0, 1) ** 0.6 * 255
    return np.asarray(cv2.GaussianBlur(cv2.LUT(picture, levels.astype(np.uint8)), (0, 0), 1.5))


def with_margin(picture: Pixels) -> tuple[Pixels, int]:
    """With the edges repeated outwards, for faces at the edge; and how wide."""
    margin = int(0.25 * picture.shape[1])
    wider = cv2.copyMakeBorder(picture, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    return np.asarray(wider, np.uint8), margin
