"""Recognises a screenshot of a phone by what its system and its apps draw.

A clock and symbols at the top, a row of symbols or the bar for gestures at the bottom, a button that ends a
call, bars of one colour above and below. One of them is enough only in a picture of a screen's proportions
that names no camera; else two are needed. The proportions alone say nothing: cameras and cropping make them too.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.imaging.decoding import Decoded
from core.imaging.portraits.face import Pixels, shrunk

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_WIDTH = 540
_INK = 45
"""How much lighter or darker than its surroundings a symbol is."""
_PLAIN = 12
_SCREENS = (1.6, 2.5)
_STATUS_ROWS = round(0.17 * _WIDTH)
_TOOL_ROWS = round(0.38 * _WIDTH)
_CALL_ROWS = round(0.7 * _WIDTH)
_MIN_BAR = 0.06
_CLEAN_ROWS = 3


class Span(NamedTuple):
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


def is_screenshot(picture: Pixels, decoded: Decoded) -> bool:
    """`picture` is upright."""
    if decoded.names_screenshot:
        return True
    height, width = picture.shape[:2]
    if height <= width:
        return False
    if width > _WIDTH:
        picture = shrunk(picture, _WIDTH / width)
    signs = _count_signs(picture)
    is_like_a_screen = _SCREENS[0] <= height / width <= _SCREENS[1]
    return signs >= 2 or (signs == 1 and is_like_a_screen and not decoded.names_camera)


def _count_signs(picture: Pixels) -> int:
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    return (
        _has_status_bar(grey[:_STATUS_ROWS])
        + _has_tools(grey[-_TOOL_ROWS:])
        + _has_call_button(picture[-_CALL_ROWS:])
        + _has_bars(grey)
    )


def _has_status_bar(strip: Grey) -> bool:
    """A row of small symbols: digits at the left, more at the right, and nothing above and below."""
    width = strip.shape[1]
    ink, _ = _ink_of(strip)
    for rows in _rows_of(ink, 0.009, 0.055):
        found = cv2.connectedComponentsWithStats(ink[rows.start : rows.end].astype(np.uint8))[2][1:]
        found = found[found[:, cv2.CC_STAT_HEIGHT] >= 0.4 * rows.size]
        middles = (found[:, cv2.CC_STAT_LEFT] + found[:, cv2.CC_STAT_WIDTH] / 2) / width
        if (
            len(found) >= 5
            and found[:, cv2.CC_STAT_WIDTH].max() <= 0.12 * width
            and (middles < 0.4).sum() >= 3
            and (middles > 0.6).sum() >= 2
            and middles.min() < 0.22
            and middles.max() > 0.78
        ):
            return True
    return False


def _has_tools(strip: Grey) -> bool:
    """Three to seven symbols in a row on a plain ground, or the bar for gestures."""
    width = strip.shape[1]
    ink, is_plain = _ink_of(strip)
    for rows in _rows_of(ink, 0.003, 0.13):
        if not is_plain[rows.start : rows.end].all():
            continue
        is_filled = np.asarray(ink[rows.start : rows.end].any(axis=0))
        columns = list(_spans(is_filled, gap=round(0.035 * width)))
        if len(columns) == 1 and rows.size <= 0.02 * width:
            bar = columns[0]
            is_low = len(strip) - rows.end <= 0.08 * width
            is_full = ink[rows.start : rows.end, bar.start : bar.end].mean() > 0.7
            if (
                is_low
                and is_full
                and abs(bar.middle - width / 2) < 0.03 * width
                and 0.18 * width < bar.size < 0.45 * width
            ):
                return True
        if (
            3 <= len(columns) <= 7
            and rows.size >= 0.02 * width
            and max(column.size for column in columns) <= 0.2 * width
            and columns[0].middle < 0.35 * width
            and columns[-1].middle > 0.65 * width
        ):
            return True
    return False


def _has_call_button(strip: Pixels) -> bool:
    """A disc of one red."""
    width = strip.shape[1]
    red, green, blue = (channel.astype(np.int16) for channel in cv2.split(strip))
    is_red = (red > 190) & (green < 115) & (blue < 125)
    count, labels, found, _ = cv2.connectedComponentsWithStats(is_red.astype(np.uint8))
    for label in range(1, count):
        left, top, across, down, area = (int(value) for value in found[label])
        if not (
            0.09 * width <= across <= 0.25 * width
            and abs(across - down) <= 0.12 * across
            and 0.5 <= area / (across * down) <= 0.83
        ):
            continue
        disc = labels[top : top + down, left : left + across] == label
        corner = max(1, across // 9)
        corners = (disc[:corner, :corner], disc[:corner, -corner:], disc[-corner:, :corner])
        inner = cv2.erode(disc.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        shades = strip[top : top + down, left : left + across][inner]
        if (
            not any(part.any() for part in corners)
            and len(shades) > area / 4
            and shades.std(axis=0).max() <= 5
        ):
            return True
    return False


def _has_bars(grey: Grey) -> bool:
    """Bands of one colour above and below, with a straight edge between them and the picture."""
    top, bottom = _bar(grey), _bar(grey[::-1])
    return top is not None and bottom is not None and abs(top - bottom) <= 6


def _bar(grey: Grey) -> int | None:
    """The shade of the bar at the upper edge."""
    shade = int(grey[0, 0])
    differs = np.abs(grey.astype(np.int16) - shade)
    rows = np.flatnonzero(differs.max(axis=1) > 6)
    first = int(rows[0]) if len(rows) else 0
    if not _MIN_BAR * len(grey) <= first <= 0.45 * len(grey):
        return None
    beyond = differs[first : first + 3].max(axis=0)
    return shade if (beyond > _PLAIN).mean() > 0.6 else None


def _ink_of(strip: Grey) -> tuple[Mask, Mask]:
    """Where the symbols are, and which rows are plain but for them."""
    ground = cv2.medianBlur(strip, 41)
    apart = np.abs(strip.astype(np.int16) - ground)
    ink = apart > _INK
    beside = cv2.dilate(ink.astype(np.uint8), np.ones((7, 7), np.uint8)) == 0
    levels = np.where(beside, strip, ground).astype(np.int16)
    spread = np.percentile(levels, 97, axis=1) - np.percentile(levels, 3, axis=1)
    return ink, np.asarray(spread <= _PLAIN)


def _rows_of(ink: Mask, least: float, most: float) -> Iterator[Span]:
    """Rows with symbols between clean rows; the heights are shares of the width."""
    height, width = ink.shape
    has_ink = np.asarray(ink.any(axis=1))
    for rows in _spans(has_ink, gap=2):
        above, below = rows.start - _CLEAN_ROWS, rows.end + _CLEAN_ROWS
        if above >= 0 and below <= height and least * width <= rows.size <= most * width:
            yield rows


def _spans(filled: Mask, gap: int) -> Iterator[Span]:
    """Runs, joined where less than `gap` is between them."""
    places = np.flatnonzero(filled)
    if not len(places):
        return
    breaks = np.flatnonzero(np.diff(places) > gap)
    starts = [places[0], *places[breaks + 1]]
    ends = [*places[breaks], places[-1]]
    for start, end in zip(starts, ends, strict=True):
        yield Span(int(start), int(end) + 1)
