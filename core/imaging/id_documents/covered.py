"""Which printed parts of a rectified ID card are hidden: under a finger, a note, a bar, a watermark.

Something foreign may lie over a part, or a part lacks the print that every card has there. Blank
margins may be covered, as by fingertips that hold the card; a thumb over a corner may not.
Lengths are in mm on the card.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.id_documents import layout
from core.imaging.id_documents.surface import PX, Box, Mask, Surface, part
from core.imaging.id_documents.verdict import CardPart, Side

_PARTS: dict[Side, dict[CardPart, Box]] = {
    Side.PORTRAIT_SIDE: {
        CardPart.NAME: (5.0, 5.0, 40.0, 12.0),
        CardPart.GENDER_ETHNICITY: (5.0, 13.0, 40.0, 19.0),
        CardPart.BIRTH_DATE: (5.0, 20.0, 46.0, 26.0),
        CardPart.ADDRESS: (5.0, 27.0, 50.0, 42.5),
        CardPart.ID_NUMBER: (28.0, 44.5, 79.5, 51.0),
    },
    Side.EMBLEM_SIDE: {
        CardPart.TITLE: (27.0, 5.0, 76.0, 27.0),
        CardPart.ISSUER: (19.0, 36.5, 69.0, 43.0),
        CardPart.VALIDITY: (19.0, 44.0, 69.0, 50.5),
    },
}
_EXPECTED_PRINT: dict[Side, dict[CardPart, tuple[Box, float]]] = {
    Side.PORTRAIT_SIDE: {
        CardPart.NAME: ((14.0, 4.5, 50.0, 12.6), 2.5),
        CardPart.GENDER_ETHNICITY: ((14.0, 12.8, 20.0, 19.6), 1.2),
        CardPart.BIRTH_DATE: ((14.0, 20.0, 48.0, 26.6), 12.0),
        CardPart.ADDRESS: ((14.0, 27.0, 51.0, 34.0), 15.0),
    },
    Side.EMBLEM_SIDE: {
        CardPart.ISSUER: ((33.0, 35.5, 76.0, 43.4), 10.0),
        CardPart.VALIDITY: ((33.0, 43.6, 76.0, 51.5), 14.0),
    },
}
"""Where print must be, and how much of its width it takes at least."""
_MARGINS: dict[Side, tuple[Box, ...]] = {
    Side.PORTRAIT_SIDE: (
        (8, 1.2, 78, 4.4), (1.3, 8, 4.0, 46), (82.3, 8, 84.3, 46), (8, 51.9, 78, 52.9)
    ),
    Side.EMBLEM_SIDE: (
        (8, 1.2, 78, 4.2), (1.3, 8, 4.0, 46), (80.0, 8, 84.3, 46), (8, 51.9, 78, 52.9)
    ),
}  # fmt: skip
_EMBLEM: Box = (7.0, 7.0, 22.0, 22.0)
_PORTRAIT_AREA: Box = (53.5, 7.0, 79.5, 39.0)
_CORNER_MM, _FINGERTIP_MM2 = 20, 60
_SMALL_TOUCH_MM = 5
_LIKE_IT = 0.12
_MIN_GRAIN = 0.075
_MIN_EMBLEM = 0.15
_WATERMARKED = 0.02
_NAME_START: Box = (14.0, 3.5, 20.5, 12.6)
_NAME_TOP_MM = 8.8
_FACE_AREA: Box = (56.0, 9.0, 78.0, 38.0)
_LATTICE, _LATTICE_WINDOW = 0.8, 9


def hidden_parts(surface: Surface, side: Side, *, has_face: bool) -> dict[CardPart, float]:
    """The hidden share of each part, 0 to 1, most hidden first; without those that are not hidden.

    `has_face` is whether a face was found where the portrait is.
    """
    own = layout.PORTRAIT if side is Side.PORTRAIT_SIDE else layout.EMBLEM
    hand = _foreign_without_own(surface, own)
    inside = _reaching_in(surface, hand, own)
    found = {
        **{name: _share(hand, box) for name, box in _PARTS[side].items()},
        CardPart.CORNER: _corner(hand | inside),
        CardPart.OVERPRINT: overprint(surface, side),
    }
    for name, missing in _missing_print(surface, side):
        found[name] = max(found[name], missing)
    if side is Side.PORTRAIT_SIDE:
        is_hidden = not has_face or _is_mosaic(surface, _FACE_AREA)
        found[CardPart.PORTRAIT] = 1.0 if is_hidden else _share(inside, _PORTRAIT_AREA)
    else:
        found[CardPart.EMBLEM] = 1.0 if _lacks_emblem(surface) else _share(inside, _EMBLEM)
    order = sorted(found, key=lambda name: found[name], reverse=True)
    return {name: found[name] for name in order if found[name] > 0}


def is_watermarked(surface: Surface, side: Side) -> bool:
    """Whether so much is printed on blank margins that the layout says nothing."""
    return overprint(surface, side) > 0


def overprint(surface: Surface, side: Side) -> float:
    """The share of the blank margins that carries strokes, as under 仅供…使用."""
    margins = [part(surface.strong_ink, box, PX) for box in _MARGINS[side]]
    shares = [float(margin.mean()) for margin in margins]
    if sorted(shares)[1] < _WATERMARKED:
        return 0.0
    return float(np.mean(shares))


def _foreign_without_own(surface: Surface, own: Box) -> Mask:
    """Foreign areas outside the card's own picture."""
    hand = surface.foreign.copy()
    part(hand, own, 1)[:] = False
    return _larger_than(hand, _FINGERTIP_MM2 // 5)


def _larger_than(mask: Mask, mm2: float) -> Mask:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    keep = np.zeros(count, bool)
    keep[1:] = stats[1:, cv2.CC_STAT_AREA] >= mm2
    found: Mask = keep[labels]
    return found


def _share(mask: Mask, box: Box) -> float:
    return float(part(mask, box, 1).mean())


def _corner(hand: Mask) -> float:
    """Of a square at the most hidden corner, what is hidden beyond a fingertip."""
    size = _CORNER_MM
    squares = (hand[:size, :size], hand[:size, -size:], hand[-size:, :size], hand[-size:, -size:])
    most = max(int(square.sum()) for square in squares)
    return max(0.0, most - _FINGERTIP_MM2) / size**2


def _missing_print(surface: Surface, side: Side) -> Iterator[tuple[CardPart, float]]:
    ink = layout.visible_ink(surface)
    for name, (box, least) in _EXPECTED_PRINT[side].items():
        if layout.extent(ink, box) < least:
            yield name, 1.0
    if side is Side.PORTRAIT_SIDE:
        first = next(iter(layout.rows_in(ink, _NAME_START)), None)
        if first is None or first.top > _NAME_TOP_MM:
            yield CardPart.NAME, 1.0
        columns, _ = layout.number_line(ink)
        yield CardPart.ID_NUMBER, 1 - float(columns.mean())


def _is_mosaic(surface: Surface, box: Box) -> bool:
    """Whether a picture is made of squares: its steps stand in few columns and few rows."""
    grey = part(surface.grey, box, PX).astype(np.float32)
    peaks = []
    for across in (True, False):
        steps = np.abs(cv2.Sobel(grey, cv2.CV_32F, int(across), int(not across), ksize=1))
        profile = steps.mean(axis=0 if across else 1, dtype=np.float32)
        even = cv2.blur(profile[None], (_LATTICE_WINDOW, 1))[0]
        peaks.append(float((profile - even).std() / max(float(profile.mean()), 1e-3)))
    return min(peaks) > _LATTICE


def _lacks_emblem(surface: Surface) -> bool:
    """Not red, or without its fine drawing, as under a mosaic."""
    grain = float(part(surface.grain, _EMBLEM, PX).mean())
    return layout.emblem_evidence(surface).score < _MIN_EMBLEM or grain < _MIN_GRAIN


def _reaching_in(surface: Surface, hand: Mask, own: Box) -> Mask:
    """What reaches from outside into `own` in the same colour."""
    left, top, right, bottom = (round(edge) for edge in own)
    inside = np.zeros_like(hand)
    inside[top:bottom, left:right] = surface.foreign[top:bottom, left:right]
    reached = np.zeros_like(hand)
    count, labels, _, _ = cv2.connectedComponentsWithStats(hand.astype(np.uint8), connectivity=4)
    for label in range(1, count):
        area = labels == label
        touch = _grown(area) & inside
        if touch.sum() < _SMALL_TOUCH_MM:
            continue
        colour = np.median(surface.colours[area], axis=0)
        away = np.abs(surface.colours - colour)
        like = inside & (np.hypot(away[..., 0], away[..., 1]) < _LIKE_IT) & (away[..., 2] < 0.8)
        reached |= _connected(like, touch)
    return reached


def _grown(mask: Mask) -> Mask:
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def _connected(like: Mask, seeds: Mask) -> Mask:
    _, labels = cv2.connectedComponents(like.astype(np.uint8), connectivity=4)
    touched: NDArray[np.int32] = np.unique(labels[seeds & like])
    found: Mask = np.isin(labels, touched[touched > 0])
    return found
