"""Fifty requests for the same thing at once, on two server processes; `tests.soak.concurrency` does it at length."""

import asyncio
import uuid
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import conftest
from tests.soak.concurrency import race

FEW = {"workers": 2, "concurrency": 50, "rounds": 1}
ENOUGH = FEW | {"rounds": 70}
"""Whether a race does damage is a matter of chance: the first that does ends the control."""


@pytest.fixture
def empty_database(postgres_template: str) -> Iterator[str]:
    """The servers' own sandbox fills it, under keys of its own."""
    name = f"card_gateway_race_{uuid.uuid4().hex[:12]}"
    asyncio.run(conftest._postgres(f"CREATE DATABASE {name}"))
    yield f"{conftest.POSTGRES_URL}/{name}"
    asyncio.run(conftest._postgres(f"DROP DATABASE {name} WITH (FORCE)"))


async def test_one_wins_and_has_one_outside_effect(empty_database: str, tmp_path: Path) -> None:
    assert await race(Namespace(database_url=empty_database, **FEW), tmp_path, control=False)


async def test_without_locks_and_guards_several_would_win(
    empty_database: str, tmp_path: Path
) -> None:
    """The control. On SQLite a service reads outside of its writer too, and so needs the same guards;
    the race is run on PostgreSQL, whose writers run at the same time."""
    assert not await race(Namespace(database_url=empty_database, **ENOUGH), tmp_path, control=True)
