"""Code tables: the options of select fields."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.kernel.texts import Text

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Option:
    """`english` is empty where nobody has given an English name."""

    code: str
    name: str
    english: str = ""

    @property
    def text(self) -> Text:
        return Text(self.name, self.english or self.name)


class Table:
    """Options by code, in display order."""

    def __init__(self, options: Iterable[Option]) -> None:
        self.options = tuple(options)
        self._by_code = {option.code: option for option in self.options}

    def get(self, code: str) -> Option | None:
        return self._by_code.get(code)


def read_table(name: str) -> Table:
    """Reads a built-in table; its `meta` names the source."""
    rows = json.loads((DATA / f"{name}.json").read_text("utf-8"))["rows"]
    return Table(Option(row["code"], row["name"], row["english"]) for row in rows)
