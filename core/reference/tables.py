"""Code tables: what the selects of a form offer."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Option:
    code: str
    name: str


class Table:
    """Options by their code, in the order in which they are offered."""

    def __init__(self, options: Iterable[Option]) -> None:
        self.options = tuple(options)
        self._by_code = {option.code: option for option in self.options}

    def get(self, code: str) -> Option | None:
        return self._by_code.get(code)


def read_table(name: str) -> Table:
    """A table of the package's data; its `meta` tells where it comes from."""
    rows = json.loads((DATA / f"{name}.json").read_text("utf-8"))["rows"]
    return Table(Option(row["code"], row["name"]) for row in rows)
