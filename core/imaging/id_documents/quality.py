"""Quality of the photograph, measured on the rectified card: focus, reflections, light, colour."""

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.id_documents.geometry import Pixels

WIDTH = 1000
_EDGE_PX = 12
_WINDOW = 25
_STEP_TO_SIGMA = 2.507
"""√(2π): a step of height c blurred by a Gaussian has a maximum slope of c / (σ √(2π))."""
_OVEREXPOSED = 250
_SMALLEST_SPOT = 0.0015
_COLOUR_NOISE_PX = 2.0
_GOOD_LIGHT, _MIN_LIGHT = 80.0, 12.0


def blur_radius(card: Pixels) -> float | None:
    """Standard deviation of the blur in px of a card 1000 px wide, in the worse direction.

    It is computed from contrast and slope at the edges of strokes; None if there are no strokes.
    """
    grey = cv2.cvtColor(card, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = cv2.GaussianBlur(grey, (0, 0), 0.7).astype(np.float32)
    grey = grey[_EDGE_PX:-_EDGE_PX, _EDGE_PX:-_EDGE_PX]
    found = [_blur_along(grey, across=across) for across in (True, False)]
    return max((blur for blur in found if blur is not None), default=None)


def _blur_along(grey: NDArray[np.float32], *, across: bool) -> float | None:
    window = np.ones((1, _WINDOW) if across else (_WINDOW, 1), np.uint8)
    steps = np.abs(cv2.Sobel(grey, cv2.CV_32F, int(across), int(not across), ksize=1)) / 2
    contrast = cv2.dilate(grey, window) - cv2.erode(grey, window)
    steepest = (steps >= cv2.dilate(steps, window)) & (contrast > 0)
    contrasts, slopes = contrast[steepest], steps[steepest]
    if not len(contrasts):
        return None
    strong = contrasts > max(0.55 * float(np.percentile(contrasts, 98)), 12.0)
    if strong.sum() < 30:
        return None
    return float(np.median(contrasts[strong] / (_STEP_TO_SIGMA * np.maximum(slopes[strong], 1e-3))))


def overexposed_share(card: Pixels) -> float:
    """The fraction of the card in overexposed white spots."""
    mask = (card.min(axis=2) >= _OVEREXPOSED).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)).astype(np.uint8)
    _, _, spots, _ = cv2.connectedComponentsWithStats(mask)
    areas = spots[1:, cv2.CC_STAT_AREA]
    return float(areas[areas > _SMALLEST_SPOT * mask.size].sum() / mask.size)


def lightness(card: Pixels) -> float:
    """CIELAB lightness of the paper, 0 to 100."""
    return float(np.median(_lab(card)[..., 0]))


def colourfulness(card: Pixels) -> float:
    """How far the most coloured parts differ from the paper: the 98th percentile of the CIELAB
    chroma beyond the median colour, normalised for lightness.

    About 1 for a grey copy, and below 6 for one in warm light, which colours the paper alike.
    """
    lab = _lab(cv2.GaussianBlur(card, (0, 0), _COLOUR_NOISE_PX).astype(np.uint8))
    colour = lab[..., 1:] - np.median(lab[..., 1:].reshape(-1, 2), axis=0)
    chroma = np.percentile(np.linalg.norm(colour, axis=2), 98)
    return float(chroma * _GOOD_LIGHT / max(float(np.median(lab[..., 0])), _MIN_LIGHT))


def _lab(card: Pixels) -> NDArray[np.float32]:
    small = cv2.resize(card, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float32)
