"""What lies on the paper of a rectified card: ink in thin strokes, and foreign areas without any.

A foreign area differs in colour from the paper around it, or is nearly black: a finger, a note, a
bar, a chip. A shadow keeps the paper's colour and is not foreign. Lengths are in mm on the card.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.id_documents.geometry import Pixels

PX = 5
WIDTH = 428
Box = tuple[float, float, float, float]
Mask = NDArray[np.bool_]

_STROKE_PX = 7
"""Print is thinner than 1.4 mm; the squares of a mosaic are not."""
_THICKEST_STROKE_PX = 11
_INK, _STRONG_INK = 0.11, 0.17
_FLARE = 10.0
_OTHER_COLOUR, _NEARLY_BLACK = 0.13, -1.05
_SMALLEST_MM2 = 12
_FITS = 5
_BORDER_MM = 1


@dataclass(frozen=True, slots=True)
class Surface:
    """`ink` and `strong_ink` have 5 px per mm, `foreign` and `colours` one.

    `colours` are the logarithms of red and blue over green and of the brightness, less the paper's;
    `blueness` is the logarithm of blue over red at 5 px per mm, `grain` the contrast of fine detail,
    `grey` the card itself, smoothed.
    """

    ink: Mask
    strong_ink: Mask
    foreign: Mask
    colours: NDArray[np.float32]
    blueness: NDArray[np.float32]
    grain: NDArray[np.float32]
    grey: Pixels


def surface_of(card: Pixels) -> Surface:
    """`card` is `WIDTH` px wide. Portrait and emblem are foreign areas too."""
    soft = cv2.GaussianBlur(card, (0, 0), 0.8).astype(np.uint8)
    kernel = np.ones((_THICKEST_STROKE_PX, _THICKEST_STROKE_PX), np.uint8)
    bare = cv2.morphologyEx(cv2.medianBlur(soft, 3), cv2.MORPH_CLOSE, kernel)
    height, width = card.shape[0] // PX, card.shape[1] // PX
    coarse = cv2.resize(bare, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    colours = _against_paper(_logarithms(coarse))
    off = np.hypot(colours[..., 0], colours[..., 1])
    foreign = _large((off > _OTHER_COLOUR) | (colours[..., 2] < _NEARLY_BLACK))
    grey = cv2.cvtColor(soft, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    paper = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((_STROKE_PX, _STROKE_PX), np.uint8))
    contrast = (paper.astype(np.float32) - grey) / (paper.astype(np.float32) + _FLARE)
    rgb = soft.astype(np.float32) + np.float32(_FLARE)
    blueness = np.log(rgb[..., 2] / rgb[..., 0]).astype(np.float32)
    light = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((_STROKE_PX, _STROKE_PX), np.uint8))
    grain = contrast + light.astype(np.float32) / (paper.astype(np.float32) + _FLARE)
    return Surface(contrast > _INK, contrast > _STRONG_INK, foreign, colours, blueness, grain, grey)


def part(values: NDArray[np.generic], box: Box, px: int) -> NDArray[np.generic]:
    left, top, right, bottom = (round(edge * px) for edge in box)
    return values[top:bottom, left:right]


def _logarithms(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    red, green, blue = np.moveaxis(rgb + np.float32(_FLARE), 2, 0)
    light = 0.3 * red + 0.59 * green + 0.11 * blue
    return np.stack([np.log(red / green), np.log(blue / green), np.log(light)], axis=2).astype(
        np.float32
    )


def _against_paper(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Differences from a paper whose colour and light change slowly (a quadratic surface).

    Fitted to what lies near it, beginning with the median.
    """
    height, width = values.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2).astype(np.float32)
    usable = np.ones((height, width), bool)
    usable[:_BORDER_MM] = usable[-_BORDER_MM:] = False
    usable[:, :_BORDER_MM] = usable[:, -_BORDER_MM:] = False
    found = np.asarray(values - np.median(values[usable], axis=0), np.float32)
    for step in range(_FITS):
        near = usable & (np.hypot(found[..., 0], found[..., 1]) < (0.16 if step == 0 else 0.08))
        near &= np.abs(found[..., 2]) < (0.7 if step == 0 else 0.35)
        if near.sum() < 0.2 * near.size:
            near = usable
        fit, *_ = np.linalg.lstsq(terms[near], values[near], rcond=None)
        found = np.asarray(values - terms @ fit, np.float32)
    return found


def _large(mask: Mask) -> Mask:
    """Without specks; what touches the card's outermost millimetre alone is background."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    keep = np.zeros(count, bool)
    keep[1:] = stats[1:, cv2.CC_STAT_AREA] >= _SMALLEST_MM2
    found: Mask = keep[labels]
    return found
