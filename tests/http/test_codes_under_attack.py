"""Strangers spend codes while owners report losses, on two server processes; `make soak-codes` does it at length."""

from argparse import Namespace
from pathlib import Path

import pytest

from tests.soak.codes_under_attack import attack, bounds
from tests.soak.ws_load import UNLIMITED

pytestmark = pytest.mark.server

FEW = Namespace(
    workers=2,
    strangers=60,
    accounts=8,
    owners=12,
    binders=12,
    minutes=6,
    hours=2,
    database_url=None,
)


async def test_nobody_is_shut_out_and_the_bounds_hold(tmp_path: Path) -> None:
    assert await attack(FEW, tmp_path, "with our limits") == []


async def test_owners_are_refused_where_every_sender_counts_together(tmp_path: Path) -> None:
    """The control: the limits as they were."""
    faults = await attack(FEW, tmp_path, "every sender together", "together")

    assert any("owners refused" in fault for fault in faults)


async def test_without_limits_the_bounds_break(tmp_path: Path) -> None:
    """The control: the same attack, and nothing in front of it."""
    faults = await attack(FEW, tmp_path, "no limits", **UNLIMITED)

    assert {"an hour to a number", "a day to a number", "in all"} <= bounds(faults)
