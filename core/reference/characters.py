"""The characters that mainland documents print: 通用规范汉字表, and one-to-one traditional forms."""

import json
from functools import cache

from core.reference.tables import DATA


@cache
def _characters() -> tuple[frozenset[str], dict[str, str]]:
    table = json.loads((DATA / "standard_characters.json").read_text("utf-8"))
    forms = dict(zip(table["traditional"], table["simplified"], strict=True))
    return frozenset(table["characters"]), forms


def standard_form(character: str) -> str | None:
    """The character itself if it is a standard one; the simplified form of a traditional one that
    has no other; otherwise None.
    """
    standard, simplified = _characters()
    return character if character in standard else simplified.get(character)
