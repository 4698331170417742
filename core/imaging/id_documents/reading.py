"""Extracts the fields of an ID card from its words, each with a confidence.

The ID number has a check character (GB 11643) and contains birth date and gender: a value that
agrees with a valid number has the number's confidence, a value that disagrees is dropped.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from core.imaging.id_documents.names import Again, read_name
from core.imaging.id_documents.ocr import Sheet, Words
from core.imaging.id_documents.titles import is_watermarked, name_card
from core.imaging.id_documents.verdict import OtherCard, ReadDocument, ReadField, Side
from core.reference import (
    LONG_TERM,
    birth_date_of,
    gender_code_of,
    is_id_number,
    parse_date,
    standard_form,
)

_SAME_LINE_MM = 2.3
_PORTRAIT_LEFT, _PORTRAIT_LOWER = 51.5, 44.0
_NUMBER_TOP = 44.3
_MAX_ADDRESS_LINES, _SHORTEST_ADDRESS = 4, 6
_SHORTEST_VALIDITY_DAYS = 400
_MIN_CONFIDENCE = 0.9
"""Of what is offered, 98 of 100 are right; the citizen types the rest."""
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_VARIANTS = str.maketrans("漢", "汉")
"""The models output the traditional form, which the card never prints."""
_VERIFIED = 0.99

_GENDER = re.compile(r"性?别?(?P<value>[男女])")
_ETHNICITY = re.compile(r"民族(?P<value>[^\W\d_]+)")
_BIRTH = re.compile(r"(?P<year>\d{4})年(?P<month>\d{1,2})月(?P<day>\d{1,2})")
_NUMBER = re.compile(r"(?P<value>\d{17}[\dXx])")
_ISSUER = re.compile(r"签发机关(?P<value>[^\W\d_]+)")
_PERIOD = re.compile(r"(?P<start>\d{8})[-—–~一]*(?P<end>\d{8})")
_NOT_IN_ADDRESS = re.compile(
    rf"{_UNKNOWN}|\d{{9}}|公民|身份|号码|姓名|性别|民族|出生|签发|有效期|仅供|仅限|使用"
)
_VALIDITY = re.compile(r"\d{4}\.?\d{2}\.?\d{2}[-—–~一]*(?P<value>\d{4}\.?\d{2}\.?\d{2}|长期)")


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    confidence: float
    middle: float


def read(card: bytes, side: Side, today: date) -> ReadDocument:
    """Reads a card again upside down if its first reading says nothing."""
    sheet = Sheet.of_jpeg(card)
    words = sheet.words()
    found = _document(words, side, today, sheet.again)
    if found.fields or found.card is not None:
        return found
    turned = sheet.turned()
    return replace(_document(turned.words(), side, today, turned.again), fields=())


def _document(words: list[Words], side: Side, today: date, again: Again) -> ReadDocument:
    fields = fields_in(words, side, today, again)
    texts = [word.text for word in words] + [line.text for line in _lines(words)]
    number = next((entry.value for entry in fields if entry.name == "id_number"), None)
    card = name_card(texts, number)
    if card is None and side is Side.EMBLEM_SIDE and _is_temporary(_lines(words)):
        card = OtherCard.TEMPORARY_ID_CARD
    return ReadDocument(tuple(fields), card, is_watermarked(texts))


def _is_temporary(lines: list[_Line]) -> bool:
    """A temporary ID card is valid for three months."""
    for line in lines:
        match = _PERIOD.search(line.text.replace(".", ""))
        if match:
            start, end = parse_date(match["start"]), parse_date(match["end"])
            return bool(start and end and 0 < (end - start).days < _SHORTEST_VALIDITY_DAYS)
    return False


def fields_in(
    words: Sequence[Words], side: Side, today: date, again: Again | None = None
) -> list[ReadField]:
    """Ethnicity is the word on the card, not its code. Uncertain fields are left out."""
    if side is Side.EMBLEM_SIDE:
        found = _emblem_side(_lines(words))
    else:
        beside_portrait = [
            word for word in words if word.left < _PORTRAIT_LEFT or word.middle > _PORTRAIT_LOWER
        ]
        found = _portrait_side(_lines(beside_portrait))
        name = read_name(beside_portrait, again)
        found = _cross_checked([*found, *([] if name is None else [name])], today)
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
    """The text from the label to the number; none if there is anything of another field in it."""
    first = next((at for at, line in enumerate(lines) if line.text.startswith("住址")), None)
    if first is None:
        return None
    parts = [line for line in lines[first:] if line.middle < _NUMBER_TOP]
    if not parts or len(parts) > _MAX_ADDRESS_LINES:
        return None
    text = "".join(line.text for line in parts).removeprefix("住址")
    written = "".join(_in_standard_form(one) for one in text)
    if len(written) < _SHORTEST_ADDRESS or _NOT_IN_ADDRESS.search(written):
        return None
    return ReadField("registered_address", written, min(line.confidence for line in parts))


def _in_standard_form(character: str) -> str:
    """What is no standard Chinese character is marked, and the address not offered."""
    if character.isascii() or character in "（）－—·":
        return character
    return standard_form(character) or _UNKNOWN


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
