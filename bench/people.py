"""Fictitious card holders, any number of them: the same ones for the same numbers.

Social security numbers have a valid check character; phone and card numbers are distinct.
They belong to no real person.
"""

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from stdnum.iso7064 import mod_11_2

from core.imports import COLUMNS

BANKS = ("SAMPLE-ICBC", "SAMPLE-ABC", "SAMPLE-BOC", "SAMPLE-CCB", "SAMPLE-PSBC")
HEADING = tuple(name for name in COLUMNS if name != "region_code")
_FAMILY = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨"
_GIVEN = "若溪子墨慕言思远清和一诺晓舟明川望江德宁小满安然"
_FIRST_BIRTHDAY = date(1950, 1, 1)
_BIRTHDAYS = 18_000
BATCHES = "BENCH-"
_NOBODYS = "510106"
"""A district in which no sandbox persona is registered."""
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def person(number: int) -> tuple[str, ...]:
    """A row of the import file."""
    day = _FIRST_BIRTHDAY + timedelta(days=number % _BIRTHDAYS)
    body = f"{_NOBODYS}{day:%Y%m%d}{number // _BIRTHDAYS:03d}"
    name = _FAMILY[number % 16] + _GIVEN[number // 16 % 24] + _GIVEN[number // 384 % 24]
    return (
        name,
        body + mod_11_2.calc_check_digit(body),
        f"1{3_000_000_000 + number}",
        _card_number(number),
        "1",
        BANKS[number % len(BANKS)],
        "2024-03-15",
        f"{BATCHES}{number // 1000:04d}",
    )


def write_people(path: Path, count: int, first: int = 0) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(HEADING)
        rows.writerows(people(count, first))
    return path


def people(count: int, first: int = 0) -> Iterator[tuple[str, ...]]:
    return map(person, range(first, first + count))


def _card_number(number: int) -> str:
    letters = ""
    for _ in range(7):
        number, digit = divmod(number, 36)
        letters = _DIGITS[digit] + letters
    return f"B{letters}0"
