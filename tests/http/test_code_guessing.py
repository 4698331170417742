"""Guessing codes over every transport at once, on two server processes; `tests.soak.code_guessing` does it at length."""

from argparse import Namespace
from pathlib import Path

import pytest

from tests.soak.code_guessing import guess_all

pytestmark = pytest.mark.server

FEW = Namespace(workers=2, guesses=180, codes=1, at_once=60, database_url=None)


async def test_at_most_five_guesses_are_evaluated(tmp_path: Path) -> None:
    assert await guess_all(FEW, tmp_path, control=False)


async def test_without_the_guard_of_the_update_more_are(tmp_path: Path) -> None:
    """The control: the same guesses, and the right code still works after all of them."""
    assert not await guess_all(FEW, tmp_path, control=True)
