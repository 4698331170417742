"""Measures light, sharpness and shape of a portrait; units are in the docstrings."""

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.portraits.face import Pixels, Points, shrunk
from core.imaging.portraits.framing import ALIGNED_EYES, EYE_DISTANCE, AlignedPicture, Mask
from core.imaging.portraits.landmarks import NOSE

Floats = NDArray[np.float32]

_X, _Y = ALIGNED_EYES
_STEP = 12
_AROUND_EYE = 0.4
_SMOOTH_DOWN = cv2.getGaussianKernel(13, 2.0)
_SIDES = [
    (50, 280),
    (101, 330),
    (36, 266),
    (205, 425),
    (187, 411),
    (118, 347),
    (104, 333),
    (69, 299),
]
"""Landmarks of cheeks and forehead, on the left and on the right."""


def crown_of(body: Mask) -> float:
    """The row of the aligned picture at the top of the hair."""
    columns = slice(int(_X - 1.2 * EYE_DISTANCE), int(_X + 1.2 * EYE_DISTANCE))
    rows = body[: int(_Y), columns].sum(axis=1) >= 0.22 * EYE_DISTANCE
    empty = np.flatnonzero(~rows)
    return float(empty[-1] + 1 if len(empty) else 0)


def skin_of(aligned: Pixels) -> Pixels:
    """The pixels of forehead and cheeks."""
    return np.concatenate([part.reshape(-1, 3) for part in _patches(aligned)])


def lightness(aligned: Pixels) -> float:
    """CIELAB L of the face, 0 to 100."""
    return float(np.median(in_lab(skin_of(aligned)[None])[0, :, 0]))


def overexposure(aligned: Pixels, mesh: Points | None) -> float:
    """Percentage of the face that is white in all three channels: of its upper half, since a mask is white
    too, and without the eyes, where glasses reflect."""
    if mesh is None:
        face = skin_of(aligned)
    else:
        upper = mesh[mesh[:, 1] < (_Y + mesh[NOSE, 1]) / 2, :2]
        mask = np.zeros(aligned.shape[:2], np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(np.round(upper).astype(np.int32)), 1)
        for side in (-1, 1):
            eye = (int(_X + side * EYE_DISTANCE / 2), int(_Y))
            cv2.circle(mask, eye, int(_AROUND_EYE * EYE_DISTANCE), 0, -1)
        face = aligned[mask > 0]
    return 100 * float(np.mean(face.min(axis=1) >= 250))


def unevenness(aligned: Pixels, mesh: Points | None) -> float:
    """Difference in CIELAB L between the sides of the face, in percent of their mean.

    With landmarks the median of eight pairs of places, so that hair over some of them does not count.
    """
    if mesh is None:
        _, left, right = _patches(aligned)
        sides = [float(np.median(in_lab(part)[..., 0])) for part in (left, right)]
        return 200 * abs(sides[0] - sides[1]) / max(1.0, sum(sides))
    lab = in_lab(np.asarray(cv2.GaussianBlur(aligned, (0, 0), 3), np.uint8))[..., 0]
    height, width = lab.shape
    columns = np.clip(np.round(mesh[:, 0]).astype(int), 0, width - 1)
    rows = np.clip(np.round(mesh[:, 1]).astype(int), 0, height - 1)
    left, right = np.array(_SIDES).T
    one, other = lab[rows[left], columns[left]], lab[rows[right], columns[right]]
    return 200 * abs(float(np.median((one - other) / np.maximum(1, one + other))))


def colourfulness(picture: AlignedPicture) -> float:
    """How much colours differ at the same lightness: in a toned picture as little as in a grey one."""
    smooth = np.asarray(cv2.GaussianBlur(picture.picture, (0, 0), 2), np.uint8)
    lab = in_lab(smooth[::4, ::4])[picture.inside[::4, ::4]]
    level = np.clip(lab[:, 0] / 5, 0, 19).astype(int)
    count = np.maximum(np.bincount(level, minlength=20), 1)
    apart = np.zeros(len(lab))
    for channel in (1, 2):
        mean = np.bincount(level, lab[:, channel], 20) / count
        apart += (lab[:, channel] - mean[level]) ** 2
    return float(np.sqrt(apart.mean()))


def sharpness(aligned: Pixels) -> float:
    """Fine detail around the eyes in percent of coarse detail, after subtracting noise.

    Across or down, whichever is less: a camera that moved blurs one of them.
    """
    rows = slice(int(_Y - 0.5 * EYE_DISTANCE), int(_Y + 0.4 * EYE_DISTANCE))
    columns = slice(int(_X - 0.95 * EYE_DISTANCE), int(_X + 0.95 * EYE_DISTANCE))
    grey = cv2.cvtColor(aligned[rows, columns], cv2.COLOR_RGB2GRAY).astype(np.float32)
    return min(_detail(grey), _detail(np.ascontiguousarray(grey.T)))


def _detail(grey: Floats) -> float:
    """Along the rows."""
    fine, middle, coarse = (
        cv2.sepFilter2D(grey, -1, cv2.getGaussianKernel(_odd(6 * sigma), sigma), _SMOOTH_DOWN)
        for sigma in (1.0, 2.0, 5.0)
    )
    detail = float(np.percentile(np.abs(fine - middle), 98))
    noise = float(np.median(np.abs(fine - middle)))
    shape = float(np.percentile(np.abs(middle - coarse), 98))
    return 100 * max(0.0, detail - 1.5 * noise) / max(shape, 1.0)


def _odd(length: float) -> int:
    return int(length) // 2 * 2 + 1


def frame_edges(picture: Pixels) -> dict[str, float]:
    """For each side, the percentage of a straight line along it where the brightness jumps."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    shrink = 640 / max(grey.shape)
    if shrink < 1:
        grey = shrunk(np.asarray(grey, np.uint8), shrink)
    levels = grey.astype(np.int16)
    sides = {"top": levels, "bottom": levels[::-1], "left": levels.T, "right": levels.T[::-1]}
    return {side: _jump(lines) for side, lines in sides.items()}


def _jump(lines: NDArray[np.int16]) -> float:
    """Counts only jumps next to a plain line, as a frame has."""
    depth = max(8, int(len(lines) * 0.22))
    near, far = lines[: depth - 3], lines[3:depth]
    step = (far - near)[1:]
    plain = np.abs(np.diff(near, axis=1)) <= 3
    is_plain = plain.mean(axis=1)[1:] > 0.9
    share = np.maximum((step > _STEP).mean(axis=1), (step < -_STEP).mean(axis=1)) * is_plain
    return 100 * float(share.max())


def _patches(aligned: Pixels) -> tuple[Pixels, Pixels, Pixels]:
    """Forehead, left cheek and right cheek, usually without hair, glasses or beard."""
    across, down = EYE_DISTANCE * 0.22, EYE_DISTANCE * 0.16

    def patch(x: float, y: float) -> Pixels:
        return aligned[int(y - down) : int(y + down), int(x - across) : int(x + across)]

    cheek_y = _Y + 0.62 * EYE_DISTANCE
    return (
        patch(_X, _Y - 0.62 * EYE_DISTANCE),
        patch(_X - 0.52 * EYE_DISTANCE, cheek_y),
        patch(_X + 0.52 * EYE_DISTANCE, cheek_y),
    )


def in_lab(picture: Pixels) -> Floats:
    """CIELAB with L from 0 to 100."""
    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), np.float32)
