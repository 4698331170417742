"""Every refusal is raised with the facts that its text names: without one, citizens get an error."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from core.kernel import refusals
from core.kernel.refusals import Refusal
from core.kernel.texts import Language

ROOT = Path(__file__).parents[2]


def facts_of(kind: type[Refusal]) -> set[str]:
    """What its texts name; `wait` comes from `retry_after`."""
    named = {
        name
        for language in Language
        for _, name, _, _ in Formatter().parse(kind.text.in_language(language))
        if name
    }
    return named - {"wait"}


def missing_facts(source: str) -> Iterator[tuple[int, str, set[str]]]:
    """Line, refusal and facts that a call leaves out. Calls with `**` are not judged."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        kind = getattr(refusals, name, None)
        given = {keyword.arg for keyword in node.keywords}
        if not inspect.isclass(kind) or not issubclass(kind, Refusal) or None in given:
            continue
        if kind.__init__ is Refusal.__init__ and (left_out := facts_of(kind) - given):
            yield node.lineno, name, left_out


def test_every_refusal_is_raised_with_the_facts_of_its_text() -> None:
    found = [
        (str(file.relative_to(ROOT)), *missing)
        for folder in ("core", "gateway")
        for file in (ROOT / folder).rglob("*.py")
        for missing in missing_facts(file.read_text("utf-8"))
    ]

    assert found == []


def test_a_fact_that_is_left_out_is_found_control() -> None:
    assert list(missing_facts('raise FileTooLarge(field="file", limit=10)')) == [
        (1, "FileTooLarge", {"most"})
    ]
