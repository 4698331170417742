"""Rounds of faults of the database, on SQLite and PostgreSQL, while citizens look and change.

Every request must be answered within three seconds, every refusal be a clean one, `/readyz` say so within
a second, and no look or change that was answered be missing afterwards.
"""

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog

from core import migrations
from tests.conftest import POSTGRES_URL, _postgres, running, settings_for
from tests.database_faults import Rounds, Tally, faulty


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--citizens", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random.seed(given.seed)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    wrong = asyncio.run(_all(given.rounds, given.citizens))
    sys.exit(1 if wrong else 0)


async def _all(rounds: int, citizens: int) -> list[str]:
    """Half of the rounds on each engine. Returns what went wrong."""
    found: defaultdict[str, Tally] = defaultdict(Tally)
    counts: defaultdict[str, int] = defaultdict(int)
    folder = Path(tempfile.mkdtemp(prefix="card-gateway-"))
    try:
        async with AsyncExitStack() as stack:
            engines = {
                name: await stack.enter_async_context(faulty(url, folder / name, citizens))
                for name, url in [
                    ("SQLite", await stack.enter_async_context(_sqlite(folder))),
                    ("PostgreSQL", await stack.enter_async_context(_postgresql(folder))),
                ]
            }
            for number in range(rounds):
                engine = ("SQLite", "PostgreSQL")[number % 2]
                name, tally = await _round(engines[engine])
                counts[f"{engine}, {name}"] += 1
                found[f"{engine}, {name}"] += tally
                for wrong in tally.wrong:
                    print(f"round {number}, {engine}, {name}: {wrong}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print(found, counts)
    return [wrong for tally in found.values() for wrong in tally.wrong]


async def _round(rounds: Rounds) -> tuple[str, Tally]:
    name, fault = random.choice(list(rounds.faults.items()))
    return name, await rounds.run(fault)


def _print(found: dict[str, Tally], counts: dict[str, int]) -> None:
    print(f"{'fault':45} rounds   looks changes refused slowest  /readyz  again  wrong")
    for name, tally in sorted(found.items()):
        print(
            f"{name:45} {counts[name]:6} {tally.looks:7} {tally.changes:7} {tally.refused:7}"
            f" {tally.slowest:6.2f}s {tally.unready_after:7.2f}s {tally.recovered_after:5.2f}s"
            f" {len(tally.wrong):6}"
        )


@asynccontextmanager
async def _sqlite(folder: Path) -> AsyncIterator[str]:
    url = f"sqlite:///{folder}/gateway.sqlite3"
    await asyncio.to_thread(migrations.migrate, url)
    await _seed(url, folder / "SQLite")
    yield url


@asynccontextmanager
async def _postgresql(folder: Path) -> AsyncIterator[str]:
    name = f"card_gateway_soak_{uuid.uuid4().hex[:12]}"
    await _postgres(f"CREATE DATABASE {name}")
    url = f"{POSTGRES_URL}/{name}"
    try:
        await asyncio.to_thread(migrations.migrate, url)
        await _seed(url, folder / "PostgreSQL")
        yield url
    finally:
        await _postgres(f"DROP DATABASE {name} WITH (FORCE)")


async def _seed(url: str, folder: Path) -> None:
    async with running(settings_for(url, folder)):
        pass


if __name__ == "__main__":
    main()
