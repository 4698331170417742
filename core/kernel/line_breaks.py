"""Keeps numbers together where a text is broken into lines on a screen.

Browsers break after a hyphen between digits, at a space before a unit, and between a digit and the
Chinese character that belongs to it: 028-|12333, 5| 分钟, 12|月8日. Invisible word joiners and
no-break spaces forbid that. An SMS has none of them: old phones show a box for a character that they
do not know, and phones recognise no number to call in which one stands; they break by UAX #14, which
keeps 028-12333 together by itself.
"""

import re

WORD_JOINER = "\u2060"
NO_BREAK_SPACE = "\u00a0"

_AFTER_DASH = re.compile(r"(?<=[0-9][-–/])(?=[0-9])")
_BEFORE_UNIT = re.compile(r"(?<=[0-9])(?=[年月日时分秒])|(?<=[0-9][年月])(?=[0-9])")
_SPACE = re.compile(r"(?<=[0-9]) (?=[^\W0-9])")


def unbroken(text: str) -> str:
    """The same text to the eye."""
    text = _SPACE.sub(NO_BREAK_SPACE, text)
    return _BEFORE_UNIT.sub(WORD_JOINER, _AFTER_DASH.sub(WORD_JOINER, text))
