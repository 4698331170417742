"""Pickup outlets and banks, from the operator's CSV files or from the built-in samples.

Outlets have the columns `code,name,address,district_code,bank_codes`, banks `code,name`; UTF-8
with a header row. The bank codes of an outlet are separated by `;`.
"""

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from core.kernel.lengths import REFERENCE_CODE
from core.reference.tables import Option, Table

OUTLET_COLUMNS = ("code", "name", "address", "district_code", "bank_codes")
BANK_COLUMNS = ("code", "name")
MAX_NAME = 100
MAX_ADDRESS = 200

_CODE = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{REFERENCE_CODE - 1}}}")
_CodedT = TypeVar("_CodedT", "Outlet", Option)
_Line: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outlet:
    """领卡网点 pickup outlet: a bank branch where cards of certain banks are picked up."""

    code: str
    name: str
    address: str
    district_code: str
    bank_codes: tuple[str, ...]


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
    return _read(lines, OUTLET_COLUMNS, lambda line: _outlet(line, districts, banks))


def read_banks(lines: Iterable[str]) -> tuple[list[Option], list[BadLine]]:
    return _read(lines, BANK_COLUMNS, _bank)


def _read(
    lines: Iterable[str], columns: tuple[str, ...], parse: Callable[[_Line], _CodedT]
) -> tuple[list[_CodedT], list[BadLine]]:
    rows = csv.reader(lines, strict=True)
    heading = [column.strip().removeprefix("\ufeff") for column in next(rows, [])]
    if heading != list(columns):
        return [], [BadLine(1, f"the heading must be {','.join(columns)}")]
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
    )


def _bank(line: _Line) -> Option:
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


def _words(line: _Line, column: str, most: int) -> str:
    words = line[column]
    if not words:
        raise _Bad(f"{column} is empty")
    if len(words) > most:
        raise _Bad(f"{column} is longer than {most} characters")
    if not words.isprintable():
        raise _Bad(f"{column} contains characters that cannot be shown")
    return words
