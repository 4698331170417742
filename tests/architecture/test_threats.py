"""Every row of docs/threats.md has a defence, a test and a control, and what it names exists."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "threats.md"
HEADER = ["attack or fault", "what passes", "defence", "test", "control"]
_TEST = re.compile(r"(tests/[\w/]+\.py)?::(test_\w+)")
_MODULE = re.compile(r"python -m ([\w.]+)( --control)?")
_PATH = re.compile(r"[\w.-]+/[\w./-]*")


class Row(NamedTuple):
    attack: str
    passes: str
    defence: str
    test: str
    control: str


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def rows(text: str) -> list[Row]:
    tables = [cells(line) for line in text.splitlines() if line.startswith("|")]
    return [Row(*row) for row in tables if row != HEADER and set("".join(row)) != {"-"}]


@cache
def functions(path: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, kinds)
    }


@cache
def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    return {f"make {name}" for name in re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE)}


def named(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def missing(row: Row) -> Iterator[str]:
    """What a row names and the repository does not have."""
    file = ""
    for name in named(f"{row.defence} {row.test} {row.control}"):
        if found := _TEST.fullmatch(name):
            file = found[1] or file
            if not (ROOT / file).is_file() or found[2] not in functions(ROOT / file):
                yield f"{file}::{found[2]}"
        elif found := _MODULE.fullmatch(name):
            module = ROOT / f"{found[1].replace('.', '/')}.py"
            if not module.is_file() or (
                found[2] and "given.control" not in module.read_text("utf-8")
            ):
                yield name
        elif name.startswith("make "):
            if name not in targets():
                yield name
        elif _PATH.fullmatch(name) and not (ROOT / name).exists():
            yield name


def incomplete(row: Row) -> Iterator[str]:
    """What a row lacks. Only its control may be absent, and says so."""
    if not row.attack or not row.passes:
        yield "words"
    if not any(_PATH.fullmatch(name) for name in named(row.defence)):
        yield "a defence"
    if not any(_is_run(name) for name in named(row.test)):
        yield "a test"
    said = row.control.startswith(("none", "in the same test"))
    if not said and not any(_is_run(name) for name in named(row.control)):
        yield "a control"
    if set(named(row.control)) & set(named(row.test)):
        yield "a control of its own"


def _is_run(name: str) -> bool:
    return bool(_TEST.fullmatch(name) or _MODULE.fullmatch(name)) or name.startswith("make ")


ROWS = rows(PAGE.read_text("utf-8"))


def test_there_are_rows() -> None:
    assert len(ROWS) > 60
    assert len({row.attack for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=[row.attack for row in ROWS])
def test_a_row_is_complete_and_what_it_names_exists(row: Row) -> None:
    assert list(incomplete(row)) == []
    assert list(missing(row)) == []


def test_every_control_of_a_soak_is_named() -> None:
    """In the table, or in a `make` target of it."""
    soaks = (ROOT / "tests" / "soak").glob("*.py")
    controlled = {path.stem for path in soaks if "given.control" in path.read_text("utf-8")}
    text = PAGE.read_text("utf-8") + (ROOT / "Makefile").read_text("utf-8")

    assert {name for name in controlled if not re.search(rf"{name} .*--control", text)} == set()


def test_what_does_not_exist_or_is_missing_is_found() -> None:
    """The control."""
    here = "tests/architecture/test_threats.py"
    gone = Row(
        "a",
        "b",
        "`core/gone.py`",
        f"`{here}::test_gone`, `::test_there_are_rows`, `make gone`",
        "`python -m tests.soak.gone`, `python -m tests.soak.issuer_events --control`",
    )
    empty = Row("a", "", "a file", "by hand", "later")

    assert list(missing(gone)) == [
        "core/gone.py",
        f"{here}::test_gone",
        "make gone",
        "python -m tests.soak.gone",
        "python -m tests.soak.issuer_events --control",
    ]
    assert list(incomplete(gone)) == []
    assert list(incomplete(empty)) == ["words", "a defence", "a test", "a control"]
