"""The layout of both sides of the resident ID card, and how much of it a rectified card shows.

Lengths are in mm on the card. Cards and photographs differ by a millimetre or two, so that rows are
found by their ink and not expected at one place. What a foreign area hides is no evidence at all.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from core.imaging.id_documents.surface import PX, Box, Mask, Surface, part

PORTRAIT: Box = (50.5, 4.0, 82.0, 43.0)
EMBLEM: Box = (4.0, 4.0, 25.0, 25.0)
_LABELS: Box = (4.0, 3.0, 13.8, 35.0)
_NUMBER: Box = (27.0, 43.0, 80.0, 52.6)
_DIGITS = (31.0, 75.0)
"""All eighteen digits of every card reach from before the first to beyond the second."""
_TEXT: Box = (15.0, 5.0, 46.0, 42.0)
_HEAD: Box = (56.0, 8.0, 78.0, 39.0)
_FEW_PX = 40
_RED, _NOT_ALONE = 0.35, 0.3
_TITLE: Box = (26.0, 3.5, 77.0, 29.0)
_FIELDS: Box = (18.0, 35.0, 33.5, 52.0)
_BLANK_BACK: Box = (78.0, 4.0, 83.0, 50.0)
_BAND_MM, _MAX_GAP_MM = 4.6, 3.2
_MIN_PX = 2


@dataclass(frozen=True, slots=True)
class Row:
    """A line of print: its upper and lower edge."""

    top: float
    bottom: float

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


def visible_ink(surface: Surface) -> Mask:
    """Without the edges of foreign areas."""
    foreign = np.kron(surface.foreign, np.ones((PX, PX), bool))
    ink = surface.ink.copy()
    height, width = (min(a, b) for a, b in zip(ink.shape, foreign.shape, strict=True))
    ink[:height, :width] &= ~foreign[:height, :width]
    return ink


def rows_in(ink: Mask, box: Box, most_apart: float = 0.8) -> list[Row]:
    """Lines of print in a box, from above. Strokes of one line may be `most_apart` mm apart."""
    printed = part(ink, box, PX).sum(axis=1) >= _MIN_PX
    at = np.flatnonzero(printed)
    if not len(at):
        return []
    breaks = np.flatnonzero(np.diff(at) > most_apart * PX)
    starts = at[np.concatenate([[0], breaks + 1])]
    ends = at[np.concatenate([breaks, [len(at) - 1]])] + 1
    return [
        Row(box[1] + start / PX, box[1] + end / PX)
        for start, end in zip(starts, ends, strict=True)
        if end - start > 0.8 * PX
    ]


def number_line(ink: Mask) -> tuple[Mask, Box]:
    """Which columns of the digits' span carry print, gaps between digits closed; and where."""
    rows = part(ink, _NUMBER, PX).sum(axis=1)
    height = round(_BAND_MM * PX)
    sums = np.convolve(rows, np.ones(height), "valid")
    top = _NUMBER[1] + int(sums.argmax()) / PX
    box = (_DIGITS[0] - _MAX_GAP_MM, top, _DIGITS[1] + _MAX_GAP_MM, top + _BAND_MM)
    columns = part(ink, box, PX).sum(axis=0) >= _MIN_PX
    filled = _closed(columns, round(_MAX_GAP_MM * PX))
    edge = round(_MAX_GAP_MM * PX)
    return filled[edge:-edge], (_DIGITS[0], top, _DIGITS[1], top + _BAND_MM)


def _closed(columns: Mask, gap: int) -> Mask:
    at = np.flatnonzero(columns)
    filled = columns.copy()
    for start, end in itertools.pairwise(at):
        if end - start <= gap:
            filled[start:end] = True
    return filled


def extent(ink: Mask, box: Box) -> float:
    """How many mm of a box's width carry print, gaps of a character closed."""
    columns = part(ink, box, PX).sum(axis=0) >= _MIN_PX
    return float(_closed(columns, round(_MAX_GAP_MM * PX)).sum()) / PX


# --- evidence ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Evidence:
    """`score` from 0 to 1, `seen` the share of its place that nothing foreign covers."""

    score: float
    seen: float


def number_evidence(surface: Surface, ink: Mask) -> Evidence:
    """A line of 18 digits almost across the card, with nothing printed below it."""
    columns, box = number_line(ink)
    hidden = hidden_share(surface, box)
    present = float(columns.mean()) / max(1 - hidden, 0.1)
    below = part(ink, (31.0, box[3] + 0.6, 75.0, 53.0), PX)
    clean = 1.0 if below.size == 0 else _between(float(below.mean()), 0.3, 0.12)
    return Evidence(_between(present, 0.5, 0.85) * clean, 1 - hidden)


def label_evidence(surface: Surface, ink: Mask) -> Evidence:
    """姓名, 性别, 出生, 住址: four labels in a column, seven to eight mm from one to the next."""
    hidden = hidden_share(surface, _LABELS)
    labels = [row for row in rows_in(ink, _LABELS) if 1.6 < row.height < 4.6]
    middles = [row.middle for row in labels]
    in_step = sum(
        any(5.8 < abs(middle - other) < 9.2 for other in middles if other != middle)
        for middle in middles
    )
    crowded = sum(
        row.height > 4.6 or row.middle < 5.0 for row in rows_in(ink, _LABELS) if row.height > 1.6
    )
    score = _between(in_step - crowded, 1, 4 if hidden < 0.1 else 3)
    return Evidence(score, 1 - hidden)


def colour_evidence(surface: Surface, ink: Mask) -> Evidence:
    """The labels are blue, and the text beside them black."""
    labels, text = part(ink, _LABELS, PX), part(ink, _TEXT, PX)
    if labels.sum() < _FEW_PX or text.sum() < _FEW_PX:
        return Evidence(0.0, 0.0)
    bluer = (
        part(surface.blueness, _LABELS, PX)[labels].mean()
        - part(surface.blueness, _TEXT, PX)[text].mean()
    )
    return Evidence(_between(float(bluer), 0.02, 0.1), 1 - hidden_share(surface, _LABELS))


def head_evidence(surface: Surface) -> Evidence:
    """Something that is darker than the paper or has another colour, where the portrait is."""
    colours = part(surface.colours, _HEAD, 1)
    differs = (np.hypot(colours[..., 0], colours[..., 1]) > 0.07) | (np.abs(colours[..., 2]) > 0.25)
    return Evidence(_between(float(differs.mean()), 0.25, 0.4), 1.0)


def emblem_evidence(surface: Surface, box: Box = EMBLEM) -> Evidence:
    """Red in the upper left corner, and little elsewhere, which may be a bar over a field."""
    red = (surface.colours[..., 0] > _RED) & (surface.colours[..., 1] > -0.75)
    here = part(red, box, 1)
    elsewhere = red.sum() - here.sum()
    alone = max(_between(float(elsewhere) / max(float(here.sum()), 1.0), 0.8, 0.3), _NOT_ALONE)
    covered = part(surface.foreign & ~red, box, 1).mean()
    return Evidence(_between(float(here.mean()), 0.1, 0.2) * alone, 1 - float(covered))


def title_evidence(surface: Surface, ink: Mask) -> Evidence:
    """中华人民共和国 above 居民身份证 in larger letters, and nothing printed to the right."""
    hidden = hidden_share(surface, _TITLE)
    rows = [row for row in rows_in(ink, _TITLE) if row.height > 3.5]
    good = len(rows) == 2 and rows[0].middle < 14 < rows[1].middle < 26
    width = min(
        (extent(ink, (_TITLE[0], row.top, _TITLE[2], row.bottom)) for row in rows), default=0
    )
    aside = float(part(ink, _BLANK_BACK, PX).mean())
    score = (1.0 if good else 0.0) * _between(width, 24, 34) * _between(aside, 0.03, 0.01)
    return Evidence(score, 1 - hidden)


def field_evidence(surface: Surface, ink: Mask) -> Evidence:
    """签发机关 and 有效期限, one above the other."""
    hidden = hidden_share(surface, _FIELDS)
    rows = [row for row in rows_in(ink, _FIELDS) if 1.6 < row.height < 4.6]
    apart = [b.middle - a.middle for a, b in itertools.pairwise(rows)]
    score = 1.0 if len(rows) == 2 and 5.5 < apart[0] < 9.5 else 0.5 * (len(rows) == 1)
    return Evidence(score, 1 - hidden)


def hidden_share(surface: Surface, box: Box) -> float:
    """The share of a box under something foreign."""
    return float(part(surface.foreign, box, 1).mean())


def _between(value: float, none: float, full: float) -> float:
    return float(np.clip((value - none) / (full - none), 0, 1))


# --- the two sides -------------------------------------------------------------------------

_UNPROVEN = 0.45
"""The most confidence in a card that lacks what every ID card has, and that nothing hides."""
_ABSENT, _HAS_PRINT = 0.1, 0.5


def portrait_side_confidence(surface: Surface) -> float:
    ink = visible_ink(surface)
    colour = colour_evidence(surface, ink)
    labels = label_evidence(surface, ink)
    found = _mean(
        (head_evidence(surface), 0.2),
        (number_evidence(surface, ink), 0.3),
        (labels, 0.25),
        (colour, 0.25),
    )
    lacks = (colour.score < _ABSENT and colour.seen > 0.5) or labels.score < _ABSENT
    return min(found, _UNPROVEN) if lacks else found


def emblem_side_confidence(surface: Surface) -> float:
    ink = visible_ink(surface)
    emblem, title = emblem_evidence(surface), title_evidence(surface, ink)
    found = _mean((emblem, 0.3), (title, 0.4), (field_evidence(surface, ink), 0.3))
    lacks = (emblem.score < _ABSENT and emblem.seen > 0.9) or title.score < _ABSENT
    return min(found, _UNPROVEN) if lacks else found


def has_print(surface: Surface) -> bool:
    """Whether the print of either side is where it should be; a grey copy has it too."""
    ink = visible_ink(surface)
    portrait = min(number_evidence(surface, ink).score, label_evidence(surface, ink).score)
    emblem = min(title_evidence(surface, ink).score, field_evidence(surface, ink).score)
    return max(portrait, emblem) >= _HAS_PRINT


def _mean(*weighted: tuple[Evidence, float]) -> float:
    """What is hidden counts less, and a card of which little is seen is not recognised."""
    seen = sum(weight * evidence.seen for evidence, weight in weighted)
    sum_ = sum(weight * evidence.seen * evidence.score for evidence, weight in weighted)
    return float(sum_ / max(seen, 0.5))
