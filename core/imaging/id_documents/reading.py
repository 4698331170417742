"""Extracts the fields of an ID card from its words, each with a confidence.

The ID number has a check character (GB 11643) and contains birth date and gender: a value that
agrees with a valid number has the number's confidence, a value that disagrees is dropped.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from core.imaging.id_documents.ocr import Words, words_on
from core.imaging.id_documents.verdict import ReadField, Side
from core.reference import LONG_TERM, birth_date_of, gender_code_of, is_id_number, parse_date

_SAME_LINE_MM = 2.3
_PORTRAIT_LEFT, _PORTRAIT_LOWER = 51.5, 44.0
_MIN_CONFIDENCE = 0.6
_VARIANTS = str.maketrans("漢", "汉")
"""The models output the traditional form, which the card never prints."""
_VERIFIED = 0.99

_NAME = re.compile(r"姓?名?(?P<value>[^\W\d_]+(?:·[^\W\d_]+)*)")
_GENDER = re.compile(r"性?别?(?P<value>[男女])")
_ETHNICITY = re.compile(r"民族(?P<value>[^\W\d_]+)")
_BIRTH = re.compile(r"(?P<year>\d{4})年(?P<month>\d{1,2})月(?P<day>\d{1,2})")
_NUMBER = re.compile(r"(?P<value>\d{17}[\dXx])")
_ISSUER = re.compile(r"签发机关(?P<value>[^\W\d_]+)")
_VALIDITY = re.compile(r"\d{4}\.?\d{2}\.?\d{2}[-—–~一]*(?P<value>\d{4}\.?\d{2}\.?\d{2}|长期)")


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    confidence: float
    middle: float


def read(card: bytes, side: Side, today: date) -> list[ReadField]:
    return fields_in(words_on(card), side, today)


def fields_in(words: Iterable[Words], side: Side, today: date) -> list[ReadField]:
    """Ethnicity is the word on the card, not its code. Unreadable fields are left out."""
    if side is Side.EMBLEM_SIDE:
        found = _emblem_side(_lines(words))
    else:
        beside_portrait = (
            word for word in words if word.left < _PORTRAIT_LEFT or word.middle > _PORTRAIT_LOWER
        )
        found = _cross_checked(_portrait_side(_lines(beside_portrait)), today)
    return [entry for entry in found if entry.confidence >= _MIN_CONFIDENCE]


def _lines(words: Iterable[Words]) -> list[_Line]:
    """Groups words at the same height, from left to right, without spaces."""
    rows: list[list[Words]] = []
    for word in sorted(words, key=lambda word: word.middle):
        if rows and abs(rows[-1][-1].middle - word.middle) < _SAME_LINE_MM:
            rows[-1].append(word)
        else:
            rows.append([word])
    return [_line(sorted(row, key=lambda word: word.left)) for row in rows]


def _line(row: Sequence[Words]) -> _Line:
    text = re.sub(r"\s", "", "".join(word.text for word in row)).translate(_VARIANTS)
    return _Line(text, min(word.confidence for word in row), row[0].middle)


def _portrait_side(lines: list[_Line]) -> list[ReadField]:
    found = [
        _matching(lines[:1], _NAME, "name"),
        _matching(lines, _GENDER, "gender_code"),
        _matching(lines, _ETHNICITY, "ethnicity_code"),
        _birth_date(lines),
        _address(lines),
        _matching(lines[-2:], _NUMBER, "id_number"),
    ]
    return [entry for entry in found if entry is not None]


def _emblem_side(lines: list[_Line]) -> list[ReadField]:
    issuer = _matching(lines, _ISSUER, "id_issuer")
    validity = _matching(lines, _VALIDITY, "id_valid_until")
    if validity is not None:
        until = validity.value.replace(".", "")
        known = until == "长期" or parse_date(until) is not None
        value = LONG_TERM if until == "长期" else until
        validity = ReadField(validity.name, value, validity.confidence) if known else None
    return [entry for entry in (issuer, validity) if entry is not None]


def _matching(lines: Iterable[_Line], shape: re.Pattern[str], name: str) -> ReadField | None:
    for line in lines:
        match = shape.search(line.text)
        if match:
            return ReadField(name, match["value"].upper(), line.confidence)
    return None


def _birth_date(lines: list[_Line]) -> ReadField | None:
    for line in lines:
        match = _BIRTH.search(line.text)
        if match:
            value = f"{match['year']}{int(match['month']):02d}{int(match['day']):02d}"
            return ReadField("birth_date", value, line.confidence) if parse_date(value) else None
    return None


def _address(lines: list[_Line]) -> ReadField | None:
    """The text from the label to the line with the number."""
    first = next((at for at, line in enumerate(lines) if line.text.startswith("住址")), None)
    if first is None:
        return None
    last = next((at for at, line in enumerate(lines) if _NUMBER.search(line.text)), len(lines))
    parts = lines[first:last]
    text = "".join(line.text for line in parts).removeprefix("住址")
    confidence = min((line.confidence for line in parts), default=0.0)
    return ReadField("registered_address", text, confidence) if text else None


def _cross_checked(found: list[ReadField], today: date) -> list[ReadField]:
    by_name = {entry.name: entry for entry in found}
    number = by_name.get("id_number")
    gender = by_name.get("gender_code")
    if gender is not None:
        code = "1" if gender.value == "男" else "2"
        by_name["gender_code"] = ReadField("gender_code", code, gender.confidence)
    if number is None or not is_id_number(number.value, today):
        by_name.pop("id_number", None)
        return list(by_name.values())
    by_name["id_number"] = ReadField("id_number", number.value, max(number.confidence, _VERIFIED))
    for name, value in (
        ("birth_date", f"{birth_date_of(number.value):%Y%m%d}"),
        ("gender_code", gender_code_of(number.value)),
    ):
        read = by_name.get(name)
        if read is not None and read.value != value:
            del by_name[name]
        else:
            by_name[name] = ReadField(name, value, _VERIFIED)
    return list(by_name.values())
