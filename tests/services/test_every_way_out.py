"""From every state there is a way to a working card, or to a desk that ADR 16 names."""

import re
import shutil
from pathlib import Path

import pytest

from core.production import ProductionOrder
from tests.ways_out import DESKS, DeadEnd, live

_ADR = Path(__file__).parents[2] / "docs" / "adr" / "0016-a-way-out-of-every-state.md"


@pytest.fixture
def database(sqlite_template: Path, tmp_path: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "gateway.sqlite3")
    return f"sqlite:///{tmp_path}/gateway.sqlite3"


def test_only_the_states_of_the_decision_need_a_desk() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*?\| ([^|]+) \| [^|]+ \|$", _ADR.read_text("utf-8"), re.M)

    assert {state for state, _ in rows} == set(DESKS)
    assert all(DESKS[state] in desk for state, desk in rows)


@pytest.mark.slow
def test_there_is_a_way_out_of_every_life(database: str) -> None:
    ended = live(database, 40)

    assert sum(ended.values()) >= 40
    assert ended["CARD"] > 0


@pytest.mark.slow
def test_without_changes_of_an_application_lives_end_in_vain(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(ProductionOrder, "may_be_changed", lambda *_: False)

    with pytest.raises(
        DeadEnd, match=r"NOTHING_TO_CORRECT|before manufacture|does not know of the order"
    ):
        live(database, 400)
