"""Generated documents end alike by their plans and by graphql-core.

A few hundred here; `python -m tests.compiled.prove` runs a hundred thousand.
"""

from typing import Any

import pytest

from gateway.compiled import completing
from gateway.compiled.runs import Run
from tests.compiled import prove

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("name", ["strawberry", "graphql"])
def test_plans_answer_as_graphql_core_does(name: str) -> None:
    seen = prove.run(name, 160, seeded=3, worlds=1)

    assert seen["cases"] == 160
    assert seen["with errors"] > 30
    assert seen["with data"] > 30
    assert min(seen["with variables"], seen["with fragments"], seen["with conditions"]) > 3


# --- controls: a plan that is wrong in one way only, and is found out ----------------------


@pytest.mark.parametrize("name", ["strawberry", "graphql"])
def test_null_where_it_may_not_stand_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completing, "never_null", lambda _field, complete: complete)

    with pytest.raises(AssertionError):
        prove.run(name, 160, seeded=3, worlds=1)


def test_an_error_at_another_place_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Run, error: Exception, nodes: Any, where: Any, *, non_null: bool) -> None:
        fail_as_usual(self, error, nodes, (where[0], "elsewhere", None), non_null=non_null)

    fail_as_usual = Run.fail
    monkeypatch.setattr(Run, "fail", fail)

    with pytest.raises(AssertionError):
        prove.run("graphql", 160, seeded=3, worlds=1)


def test_errors_in_another_order_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(self: Run, error: Any, where: Any) -> None:
        add_as_usual(self, error, where)
        self.errors.reverse()

    add_as_usual = Run.add
    monkeypatch.setattr(Run, "add", add)

    with pytest.raises(AssertionError):
        prove.run("graphql", 160, seeded=3, worlds=1)
