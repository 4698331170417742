"""Segmentation of the background (a wall), and its replacement by white.

A nearly plain wall is modelled as a linear colour gradient. Pixels at the edge of the hair are a mixture
of hair and wall: the model tells the wall's part.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.portraits.face import Pixels
from core.imaging.portraits.framing import (
    ALIGNED_EYES,
    ALIGNED_HEIGHT,
    ALIGNED_WIDTH,
    EYE_DISTANCE,
    AlignedPicture,
    Mask,
)
from core.imaging.portraits.measures import Floats, in_lab

_GRID = 4
_MIN_SAMPLES = 250
_CLUTTER = 12.0
_MIN_TEXTURE = 5.0
_TEXTURE_GAP = 9
_SHADOW_COLOUR, _SHADOW_LIGHT, _SHADOW_BLUR = 6.0, 0.72, 7.0
_CORE = 11
_REACH = 25
"""Pixels from the core of the body within which its hair ends."""
_MIN_CONTRAST = 25.0
_WALL_NOISE = 0.08
_FAINTEST = 0.06


@dataclass(frozen=True, slots=True)
class Wall:
    """`colour` is the modelled wall as RGB per pixel; `body` everything in front of it.

    `from_white` is a distance in CIELAB, `clutter` the percentage of the visible wall that does
    not fit the model.
    """

    colour: Floats
    body: Mask
    from_white: float
    clutter: float


def find_wall(aligned: AlignedPicture, turned: bool) -> Wall | None:
    """None if too little is visible around the head.

    In a `turned` face the eyes appear closer together, so the head is larger than they suggest.
    """
    lab = in_lab(aligned.picture)
    around = _around_the_head(aligned, 1.3 if turned else 1.0)
    rows, columns = np.nonzero(around[::_GRID, ::_GRID])
    if len(rows) < _MIN_SAMPLES:
        return None
    rows, columns = rows * _GRID, columns * _GRID
    samples = lab[rows, columns]
    model, close, spread = _fitted(rows, columns, samples)
    modelled = _evaluated(model)
    distance = _distance(lab, modelled)
    threshold = max(9.0, min(3.5 * spread + 4, 22.0))
    body = _body(aligned, (distance < threshold) | _is_shadow(lab, modelled), lab[..., 0])
    seen = around & ~_shoulders()
    middle = np.median(samples[close], axis=0) if close.any() else np.median(samples, axis=0)
    return Wall(
        colour=_rgb(modelled),
        body=body,
        from_white=float(
            np.hypot(max(0.0, 100 - float(middle[0])), 2 * np.hypot(middle[1], middle[2]))
        ),
        clutter=100 * float(np.mean(distance[seen] > _CLUTTER)) if seen.any() else 100.0,
    )


def whiten(finished: Pixels, wall: Wall, matrix: NDArray[np.float64], inside: Mask) -> Pixels:
    """The finished picture with a white wall; body and shoulders are unchanged.

    Matting against a known background: what a pixel at the edge of the hair has of the wall is taken
    out of it and replaced by white.
    """
    height, width = finished.shape[:2]
    size = (width, height)
    warped = cv2.warpAffine(wall.colour, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    colour = np.asarray(warped, np.float32)
    body, seen = (
        np.asarray(
            cv2.warpAffine(mask.astype(np.uint8), matrix, size, flags=cv2.INTER_NEAREST), np.uint8
        )
        for mask in (wall.body, inside)
    )
    picture = finished.astype(np.float32)
    colour = _with_shadows(colour, picture, ((body == 0) & (seen > 0)).astype(np.float32))
    share = np.where(seen > 0, _share_of_body(picture, colour, body), 0)[..., None]
    cleared = picture + (1 - share) * (255 - colour)
    kept = np.clip(share / _FAINTEST, 0, 1)
    return np.asarray(np.clip(cleared * kept + 255 * (1 - kept), 0, 255), np.uint8)


def _with_shadows(modelled: Floats, picture: Floats, is_wall: Floats) -> Floats:
    """The wall's colour where there is wall around, which a head may shade."""
    weight = cv2.GaussianBlur(is_wall, (0, 0), _SHADOW_BLUR)
    near = cv2.GaussianBlur(picture * is_wall[..., None], (0, 0), _SHADOW_BLUR)
    found = near / np.maximum(weight, 1e-3)[..., None]
    known = np.clip(weight / 0.15, 0, 1)[..., None]
    return np.asarray(known * np.minimum(found, modelled) + (1 - known) * modelled, np.float32)


def _share_of_body(picture: Floats, wall: Floats, body: Pixels) -> Floats:
    """0 (wall) to 1: by how far a pixel's colour is from the wall's towards that of the nearest body."""
    core = cv2.erode(body, np.ones((_CORE, _CORE), np.uint8))
    if not core.any():
        return np.asarray(body, np.float32)
    far, labels = cv2.distanceTransformWithLabels(
        1 - core, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(core)
    nearest = np.zeros(int(labels.max()) + 1, np.intp)
    nearest[labels[rows, columns]] = np.arange(len(rows))
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.5)
    colours = smooth[rows[nearest[labels]], columns[nearest[labels]]]
    towards = cv2.GaussianBlur(colours, (0, 0), 3) - wall
    length = np.maximum((towards**2).sum(axis=2), _MIN_CONTRAST**2)
    share = ((picture - wall) * towards).sum(axis=2) / length
    share = np.clip((share - _WALL_NOISE) / (1 - 2 * _WALL_NOISE), 0, 1)
    share *= np.clip((_REACH - far) / 6, 0, 1)
    return np.asarray(np.where(core > 0, 1, share), np.float32)


def _rgb(lab: Floats) -> Floats:
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB) * 255, np.float32)


def _distance(lab: Floats, other: Floats) -> Floats:
    """Colour distance with reduced weight of lightness, because walls have shadows."""
    difference = lab - other
    difference[..., 0] *= 0.6
    light, red, yellow = cv2.split(difference**2)
    return np.asarray(np.sqrt(light + red + yellow), np.float32)


def _around_the_head(aligned: AlignedPicture, size: float) -> Mask:
    """The region above and beside the head."""
    rows, columns = np.ogrid[:ALIGNED_HEIGHT, :ALIGNED_WIDTH]
    across = (columns - ALIGNED_EYES[0]) / (1.75 * EYE_DISTANCE)
    down = (rows - ALIGNED_EYES[1] + 0.2 * EYE_DISTANCE) / (2.3 * EYE_DISTANCE)
    beside = (across**2 + down**2 > size**2) & (rows < ALIGNED_EYES[1] + 0.9 * EYE_DISTANCE)
    return np.asarray(beside & aligned.inside & (rows > ALIGNED_EYES[1] - 3.0 * EYE_DISTANCE))


def _shoulders() -> Mask:
    rows = np.arange(ALIGNED_HEIGHT)[:, None]
    return np.asarray(
        np.broadcast_to(
            rows > ALIGNED_EYES[1] + 0.6 * EYE_DISTANCE, (ALIGNED_HEIGHT, ALIGNED_WIDTH)
        )
    )


def _terms(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    x, y = columns / ALIGNED_WIDTH - 0.5, rows / ALIGNED_HEIGHT - 0.5
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def _fitted(
    rows: NDArray[np.intp], columns: NDArray[np.intp], samples: Floats
) -> tuple[NDArray[np.float64], Mask, float]:
    """Coefficients for L, a and b; a mask of the inliers; and the spread of their residuals."""
    terms = _terms(rows, columns)
    terms = terms[:, :3]
    middle = np.median(samples, axis=0)
    apart = np.linalg.norm((samples - middle) * [0.5, 1, 1], axis=1)
    close = apart <= max(8.0, 2.5 * float(np.median(apart)))
    model = np.zeros((3, 3))
    spread = 0.0
    for _ in range(3):
        model, *_ = np.linalg.lstsq(terms[close], samples[close], rcond=None)
        residual = np.linalg.norm((samples - terms @ model) * [0.6, 1, 1], axis=1)
        spread = float(np.median(residual[close])) * 1.3
        close = residual <= max(5.0, 3 * spread)
    return model, close, spread


def _evaluated(model: NDArray[np.float64]) -> Floats:
    x = np.arange(ALIGNED_WIDTH, dtype=np.float32) / ALIGNED_WIDTH - 0.5
    y = np.arange(ALIGNED_HEIGHT, dtype=np.float32) / ALIGNED_HEIGHT - 0.5
    planes = [
        model[0, channel] + model[1, channel] * x[None, :] + model[2, channel] * y[:, None]
        for channel in range(3)
    ]
    lab = np.stack(planes, axis=2).astype(np.float32)
    lab[..., 0] = np.clip(lab[..., 0], 0, 100)
    return lab


def _body(aligned: AlignedPicture, like_wall: Mask, light: Floats) -> Mask:
    """Everything that is connected to the face, except wall that is connected to the upper edges.

    Face and chest are always body, and so is what has a texture: white hair resembles the wall.
    """
    inside = aligned.inside
    within = cv2.erode(inside.astype(np.uint8), _ellipse(2 * _TEXTURE_GAP + 1), borderValue=0)
    wall = (like_wall & inside & ~(_is_textured(light) & (within > 0))).astype(np.uint8)
    wall[_chest()] = 0
    if aligned.mesh is not None:
        outline = cv2.convexHull(np.round(aligned.mesh[:, :2]).astype(np.int32))
        cv2.fillConvexPoly(wall, outline, 0)
    opened = cv2.morphologyEx(wall, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(opened, connectivity=4)
    upper = labels[: int(ALIGNED_EYES[1] + EYE_DISTANCE)]
    at_edge = inside[: upper.shape[0]] & ~_eroded(inside)[: upper.shape[0]]
    outside = np.unique(upper[at_edge])
    body = ~np.isin(labels, outside[outside > 0]) & inside
    _, parts = cv2.connectedComponents(body.astype(np.uint8), connectivity=4)
    return np.asarray(body & (parts == parts[int(ALIGNED_EYES[1]), int(ALIGNED_EYES[0])]))


def _is_textured(light: Floats) -> Mask:
    """Where the lightness changes over short distances more than the noise of a wall does."""
    smooth = cv2.GaussianBlur(light, (0, 0), 1.5)
    change = np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1))
    textured = (change > max(_MIN_TEXTURE, 4 * float(np.median(change)))).astype(np.uint8)
    closed = cv2.morphologyEx(textured, cv2.MORPH_CLOSE, _ellipse(_TEXTURE_GAP))
    return np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, _ellipse(_TEXTURE_GAP)) > 0)


def _is_shadow(lab: Floats, wall: Floats) -> Mask:
    """Of the wall's colour, and darker by less than the hair of anybody but the old."""
    colour = np.hypot(lab[..., 1] - wall[..., 1], lab[..., 2] - wall[..., 2])
    return np.asarray((colour < _SHADOW_COLOUR) & (lab[..., 0] > _SHADOW_LIGHT * wall[..., 0]))


def _ellipse(size: int) -> Pixels:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def _chest() -> Mask:
    """Face, neck and shoulders, which are body even if a white shirt resembles the wall."""
    down = (np.arange(ALIGNED_HEIGHT)[:, None] - ALIGNED_EYES[1]) / EYE_DISTANCE
    half_width = np.interp(down, [-0.6, 1.2, 1.7, 2.4, 2.9, 4], [0.8, 0.7, 0.45, 0.55, 1.6, 2.1])
    across = abs(np.arange(ALIGNED_WIDTH)[None, :] - ALIGNED_EYES[0]) / EYE_DISTANCE
    return np.asarray((across < half_width) & (down > -0.6))


def _eroded(inside: Mask) -> Mask:
    kernel = np.ones((9, 9), np.uint8)
    # The border of the aligned picture counts as an edge of the photograph.
    return np.asarray(cv2.erode(inside.astype(np.uint8), kernel, borderValue=0) > 0)
