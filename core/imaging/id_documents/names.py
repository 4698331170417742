"""Reads the name: the whole name or none.

A minority name may take two lines and has a middle dot; a rare character is easily taken for a
common one. What is offered was therefore read alike in every cut and picture of the line, consists
of standard characters, and fits the width of its line. Lengths are in mm on the card.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core.imaging.id_documents.ocr import Box, Reading, Words
from core.imaging.id_documents.verdict import ReadField
from core.reference import standard_form

Again = Callable[[Box], Sequence[Reading]]
"""Further readings of a line."""

DOT = "·"
_DOTS = str.maketrans(dict.fromkeys("•‧・.˙･∙⋅●．。﹒", DOT))
_LABEL = re.compile("^(?:姓名|姓|名)")
_GENDER = re.compile("性别|民族|^[男女]$")
_GENDER_MIDDLE, _ABOVE_GENDER, _TOP = 15.5, 2.8, 3.0
_VALUE_LEFT, _VALUE_RIGHT = 13.7, 51.0
_LABEL_RIGHT = 14.5
_SAME_LINE = 2.3
_NAME = re.compile(rf"\w+(?:{DOT}\w+)*")
_MAX_LINES, _MAX_LENGTH, _LONGEST_WITHOUT_DOT = 2, 25, 8
_SHORTEST_FULL_LINE = 6
_WIDEST_CHARACTER, _NARROWEST_CHARACTER = 1.3, 0.62
_MIN_AGREED = 0.86
"""The least certainty of any character in any reading. Right names of the trial were seldom below,
wrong ones that all readings agreed on never above."""


@dataclass(frozen=True, slots=True)
class _Line:
    words: tuple[Words, ...]

    @property
    def box(self) -> Box:
        middle = sum(word.middle for word in self.words) / len(self.words)
        half = max(word.height for word in self.words) / 2
        left = max(min(word.left for word in self.words), _VALUE_LEFT)
        right = min(max(word.right for word in self.words), _VALUE_RIGHT)
        return left, middle - half, right, middle + half

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words)


def read_name(words: Sequence[Words], again: Again | None = None) -> ReadField | None:
    """`words` are those beside the portrait. Without `again` one reading must do."""
    lines = _lines(words)
    if not 0 < len(lines) <= _MAX_LINES:
        return None
    certainties = [min(word.confidence for line in lines for word in line.words)]
    texts = ["".join(line.text for line in lines)]
    if again is not None:
        further = [again(line.box) for line in lines]
        for readings in zip(*further, strict=True):
            texts.append("".join(_LABEL.sub("", reading.text) for reading in readings))
            certainties.append(min(reading.confidence for reading in readings))
    names = {_standard(text) for text in texts}
    name = names.pop()
    if names or name is None or not _is_plausible(name, lines):
        return None
    if again is None:
        return ReadField("name", name, certainties[0])
    share = (min(certainties) - _MIN_AGREED) / (1 - _MIN_AGREED)
    return ReadField("name", name, round(0.9 + 0.09 * share, 3)) if share >= 0 else None


def _lines(words: Sequence[Words]) -> list[_Line]:
    """The words of the name, without the label and its fragments, in reading order."""
    gender = min(
        (word.middle for word in words if 11 < word.middle < 20 and _GENDER.search(word.text)),
        default=_GENDER_MIDDLE,
    )
    rows: list[list[Words]] = []
    for word in sorted(words, key=lambda word: word.middle):
        if not _TOP < word.middle < gender - _ABOVE_GENDER or word.left > _VALUE_RIGHT:
            continue
        if word.right < _LABEL_RIGHT:
            continue
        text = _LABEL.sub("", word.text) if word.left < _VALUE_LEFT - 1 else word.text
        text = re.sub(r"\s", "", text)
        if not text:
            continue
        value = replace(word, text=text)
        if rows and abs(rows[-1][-1].middle - word.middle) < _SAME_LINE:
            rows[-1].append(value)
        else:
            rows.append([value])
    return [_Line(tuple(sorted(row, key=lambda word: word.left))) for row in rows]


def _standard(text: str) -> str | None:
    """With the dot of ID cards; None if there is a character that is not a standard one.

    A traditional form is not mapped: what was printed may be another character.
    """
    joined = re.sub(r"\s", "", text).translate(_DOTS)
    return joined if all(one == DOT or standard_form(one) == one for one in joined) else None


def _is_plausible(name: str, lines: list[_Line]) -> bool:
    if not _NAME.fullmatch(name) or not 2 <= len(name) <= _MAX_LENGTH:
        return False
    if DOT not in name and (len(name) > _LONGEST_WITHOUT_DOT or len(lines) > 1):
        return False
    if len(lines) > 1 and len(lines[0].text) < _SHORTEST_FULL_LINE:
        return False
    return all(_fits(line) for line in lines)


def _fits(line: _Line) -> bool:
    """Whether so many characters take the width of the line; a dot is narrow or as wide as they."""
    left, top, right, bottom = line.box
    dots = sum(one in _LINE_DOTS for one in line.text)
    wide = len(line.text) - dots
    per_character = (right - left) / max(wide + 0.6 * dots, 1)
    return _NARROWEST_CHARACTER < per_character / (bottom - top) < _WIDEST_CHARACTER


_LINE_DOTS = {DOT, *map(chr, _DOTS)}
