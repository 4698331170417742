"""Reads what is true of a folder of photographs: `truth.csv`.

    picture,faults,glasses,age
    a.jpg,,no,adult
    b.heic,BLURRED;TOO_DARK,yes,child

`faults` is empty for a portrait that should be accepted, else it has the codes of the checks that should fail,
the main one first. Each further column is a group of which the figures are told apart.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.imaging import CheckCode

FILE = "truth.csv"
_PICTURE, _FAULTS = "picture", "faults"


class WrongTruth(Exception):
    """The message names the line."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"{FILE}, line {line}: {what}")


@dataclass(frozen=True, slots=True)
class Photograph:
    """`faults` begins with the main one; it is empty for a good portrait."""

    name: str
    faults: tuple[CheckCode, ...]
    groups: Mapping[str, str]

    @property
    def is_good(self) -> bool:
        return not self.faults


def read_truth(folder: Path) -> list[Photograph]:
    """Raises `WrongTruth`."""
    try:
        text = (folder / FILE).read_text("utf-8-sig")
    except FileNotFoundError:
        raise WrongTruth(1, f"there is no such file in {folder}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise WrongTruth(line, "not UTF-8; save it as “CSV UTF-8”") from None
    photographs = list(_photographs(folder, text))
    if not photographs:
        raise WrongTruth(2, "no picture is listed")
    return photographs


def unlisted(folder: Path, photographs: list[Photograph]) -> list[str]:
    """Other files beside the pictures."""
    listed = {FILE, *(photograph.name for photograph in photographs)}
    files = (file.name for file in folder.iterdir() if file.is_file())
    return sorted(name for name in files if name not in listed and not name.startswith("."))


def _photographs(folder: Path, text: str) -> Iterator[Photograph]:
    rows = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(rows, [])]
    for name in (_PICTURE, _FAULTS):
        if name not in header:
            raise WrongTruth(1, f"the column {name!r} is missing; found: {', '.join(header)}")
    if len(set(header)) < len(header):
        raise WrongTruth(1, "two columns have the same name")
    lines: dict[str, int] = {}
    for row in rows:
        line = rows.line_num
        if not any(row):
            continue
        if len(row) != len(header):
            raise WrongTruth(line, f"{len(row)} values for {len(header)} columns")
        values = {name: value.strip() for name, value in zip(header, row, strict=True)}
        name = values.pop(_PICTURE)
        if not name or not (folder / name).is_file():
            raise WrongTruth(line, f"the picture {name!r} is not in {folder}")
        if name in lines:
            raise WrongTruth(line, f"the picture {name!r} is listed in line {lines[name]} already")
        lines[name] = line
        yield Photograph(name, _faults(values.pop(_FAULTS), line), values)


def _faults(value: str, line: int) -> tuple[CheckCode, ...]:
    codes = [code.strip() for code in value.split(";") if code.strip()]
    for code in codes:
        if code not in list(CheckCode):
            raise WrongTruth(line, f"{code!r} is no check; there are: {', '.join(CheckCode)}")
    return tuple(dict.fromkeys(CheckCode(code) for code in codes))
