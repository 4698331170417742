"""Pickup outlets, banks and districts, from the operator's CSV files or from the built-in samples.

Outlets have the columns `code,name,address,district_code,bank_codes`, the bank codes separated by `;`,
and may have `phone`, `opening_hours`, `longitude` and `latitude` (degrees, GCJ-02, as maps in China have
them) and `instant_issue` (`yes` or `no`). Banks and districts have `code,name`. UTF-8 with a header row.
"""

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from core.kernel.lengths import REFERENCE_CODE
from core.reference.tables import Option, Table

OUTLET_COLUMNS = ("code", "name", "address", "district_code", "bank_codes")
MORE_OUTLET_COLUMNS = ("phone", "opening_hours", "longitude", "latitude", "instant_issue")
OPTION_COLUMNS = ("code", "name")
MAX_NAME = 100
MAX_ADDRESS = 200
MAX_OPENING_HOURS = 100

_CODE = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{REFERENCE_CODE - 1}}}")
_PHONE = re.compile(
    r"(?:0[0-9]{2,3}-?)?[0-9]{5,8}(?:-[0-9]{1,6})?|1[3-9][0-9]{9}|400-?[0-9]{3}-?[0-9]{4}"
)
_DEGREES = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,8})?")
_INSTANT_ISSUE = {"yes": True, "no": False, "": False}
_CodedT = TypeVar("_CodedT", "Outlet", Option)
_Line: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outlet:
    """领卡网点 pickup outlet: a bank branch where cards of certain banks are picked up.

    `instant_issue`: 即时制卡, a card is made there at once. None and "" are what the operator does not tell.
    """

    code: str
    name: str
    address: str
    district_code: str
    bank_codes: tuple[str, ...]
    phone: str = ""
    opening_hours: str = ""
    longitude: float | None = None
    latitude: float | None = None
    instant_issue: bool = False

    @property
    def in_words(self) -> str:
        """Name, address, opening hours and phone, as far as they are known."""
        phone = f"电话 {self.phone}" if self.phone else ""
        texts = (self.name, self.address, self.opening_hours, phone)
        return "，".join(text for text in texts if text)


@dataclass(frozen=True, slots=True)
class BadLine:
    """`line` counts from 1, including the header."""

    line: int
    reason: str


class _Bad(Exception):
    """A line is invalid; the text is the reason."""


def read_outlets(
    lines: Iterable[str], districts: Table, banks: Table
) -> tuple[list[Outlet], list[BadLine]]:
    """The outlets of valid lines, and the invalid lines with reasons."""
    return _read(
        lines, OUTLET_COLUMNS, lambda line: _outlet(line, districts, banks), MORE_OUTLET_COLUMNS
    )


def read_options(lines: Iterable[str]) -> tuple[list[Option], list[BadLine]]:
    """Banks, or districts that no code table has."""
    return _read(lines, OPTION_COLUMNS, _option)


def _read(
    lines: Iterable[str],
    required: tuple[str, ...],
    parse: Callable[[_Line], _CodedT],
    optional: tuple[str, ...] = (),
) -> tuple[list[_CodedT], list[BadLine]]:
    rows = csv.reader(lines, strict=True)
    columns: tuple[str, ...] = tuple(
        column.strip().removeprefix("\ufeff") for column in next(rows, [])
    )
    more: tuple[str, ...] = columns[len(required) :]
    if columns[: len(required)] != required or len({*more} & {*optional}) != len(more):
        allowed = f" and may go on with any of {', '.join(optional)}" if optional else ""
        return [], [BadLine(1, f"the heading must be {','.join(required)}{allowed}")]
    good: dict[str, _CodedT] = {}
    bad: list[BadLine] = []
    while True:
        try:
            row = next(rows)
            if row:
                _add(good, parse(_named(row, columns)))
        except StopIteration:
            return list(good.values()), bad
        except csv.Error as error:
            bad.append(BadLine(rows.line_num, f"not CSV: {error}"))
        except _Bad as error:
            bad.append(BadLine(rows.line_num, str(error)))


def _add(good: dict[str, _CodedT], found: _CodedT) -> None:
    if found.code in good:
        raise _Bad(f"the code {found.code} occurs twice")
    good[found.code] = found


def _named(row: list[str], columns: tuple[str, ...]) -> _Line:
    if len(row) != len(columns):
        raise _Bad(f"has {len(row)} columns instead of {len(columns)}")
    return {name: value.strip() for name, value in zip(columns, row, strict=True)}


def _outlet(line: _Line, districts: Table, banks: Table) -> Outlet:
    if districts.get(line["district_code"]) is None:
        raise _Bad(f"unknown district_code {line['district_code']!r}")
    return Outlet(
        code=_code(line),
        name=_words(line, "name", MAX_NAME),
        address=_words(line, "address", MAX_ADDRESS),
        district_code=line["district_code"],
        bank_codes=_bank_codes(line, banks),
        phone=_phone(line),
        opening_hours=_words(line, "opening_hours", MAX_OPENING_HOURS, required=False),
        longitude=_degrees(line, "longitude", 180),
        latitude=_degrees(line, "latitude", 90),
        instant_issue=_instant_issue(line),
    )


def _phone(line: _Line) -> str:
    phone = line.get("phone", "")
    if phone and not _PHONE.fullmatch(phone):
        raise _Bad("phone must be like 028-85555555")
    return phone


def _degrees(line: _Line, column: str, most: int) -> float | None:
    text = line.get(column, "")
    if not text:
        return None
    if not _DEGREES.fullmatch(text) or float(text) > most:
        raise _Bad(f"{column} must be degrees, 0 to {most}")
    return float(text)


def _instant_issue(line: _Line) -> bool:
    says = line.get("instant_issue", "")
    if says not in _INSTANT_ISSUE:
        raise _Bad("instant_issue must be yes, no or empty")
    return _INSTANT_ISSUE[says]


def _option(line: _Line) -> Option:
    return Option(_code(line), _words(line, "name", MAX_NAME))


def _bank_codes(line: _Line, banks: Table) -> tuple[str, ...]:
    codes = tuple(dict.fromkeys(code.strip() for code in line["bank_codes"].split(";")))
    if codes == ("",):
        raise _Bad("bank_codes is empty")
    unknown = [code for code in codes if banks.get(code) is None]
    if unknown:
        raise _Bad(f"unknown bank code {unknown[0]!r}")
    return codes


def _code(line: _Line) -> str:
    if not _CODE.fullmatch(line["code"]):
        raise _Bad(f"code must be 1 to {REFERENCE_CODE} ASCII letters, digits, - or _")
    return line["code"]


def _words(line: _Line, column: str, most: int, *, required: bool = True) -> str:
    words = line.get(column, "")
    if not words and required:
        raise _Bad(f"{column} is empty")
    if len(words) > most:
        raise _Bad(f"{column} is longer than {most} characters")
    if not words.isprintable():
        raise _Bad(f"{column} contains characters that cannot be shown")
    return words
