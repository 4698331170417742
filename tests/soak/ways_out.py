"""Lives 10,000 lives at random, and looks for the way out of each.

    .venv/bin/python -m tests.soak.ways_out [--lives 10000] [--processes 2] [--seed 1] [--control]

A life is up to twelve acts of a citizen, the card issuer, partners and time, against the real services
(`tests/ways_out.py`). After it what the citizen can do must lead to a card that works, or one of the two
desks of ADR 16 must be named, and each desk must be reached in some life. `--control` runs a program in
which an application cannot be changed, and must find a dead end.
"""

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from core import migrations
from core.production import ProductionOrder
from tests.ways_out import DESKS, DeadEnd, live

_AT_ONCE = 250
"""Lives on one database, which grows slower with each."""


def some_lives(lives: int, seed: int, control: bool) -> Counter[str] | str:
    """Where they ended, or the story of a dead end."""
    if control:
        ProductionOrder.may_be_changed = lambda *_: False  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/gateway.sqlite3"
        migrations.migrate(url)
        try:
            return live(url, lives, chance=seed)
        except DeadEnd as end:
            return str(end)
        except Exception:
            return traceback.format_exc()


def run(given: argparse.Namespace) -> bool:
    began, ended, dead_ends = time.monotonic(), Counter[str](), list[str]()
    batches = -(-given.lives // _AT_ONCE)
    with ProcessPoolExecutor(given.processes) as pool:
        seeds = range(given.seed, given.seed + batches)
        for found in pool.map(some_lives, [_AT_ONCE] * batches, seeds, [given.control] * batches):
            if isinstance(found, str):
                dead_ends.append(found)
            else:
                ended += found
            print(f"{sum(ended.values()):,} lives, {len(dead_ends)} dead ends", flush=True)
    took = time.monotonic() - began
    lived = ", ".join(f"{count:,} {name}" for name, count in ended.most_common())
    print(f"{sum(ended.values()):,} lives in {took:,.0f} s: {lived}; {len(dead_ends)} dead ends")
    for story in dead_ends[:5]:
        print(f"  {story}")
    if given.control:
        return bool(dead_ends)
    return not dead_ends and ended.keys() == {"CARD", *DESKS}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--lives", type=int, default=10_000)
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--control", action="store_true")
    sys.exit(0 if run(options.parse_args()) else 1)


if __name__ == "__main__":
    main()
