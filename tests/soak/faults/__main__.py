"""The command: see the package's docstring."""

import argparse
import asyncio
import contextlib
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.soak import faults
from tests.soak.faults import controls
from tests.soak.faults.check import hurry, judge
from tests.soak.faults.citizens import Citizen, Outside, live
from tests.soak.faults.outside import World
from tests.soak.faults.people import settle
from tests.soak.faults.power import PowerCut

_SETTLES_WITHIN = 180
_ROUND_SECONDS = 1.2
_PARTNER_DIES_EVERY = 12


async def rounds(
    world: World, outside: Outside, given: argparse.Namespace, power: "PowerCut | None"
) -> None:
    """Each round runs the server up to a random moment."""
    for number in range(1, given.rounds + 1):
        await asyncio.sleep(random.random() * _ROUND_SECONDS)
        await asyncio.to_thread(world.kill)
        if power is not None:
            await asyncio.to_thread(power.cut)
        if number % _PARTNER_DIES_EVERY == 0:
            await asyncio.to_thread(world.kill_partner)
            await asyncio.to_thread(world.start_partner)
        await asyncio.to_thread(world.start)
        if number % 50 == 0:
            print(f"  round {number}: {outside.sent} sent, {outside.cut_off} cut off", flush=True)


async def finish(world: World, outside: Outside, clients: list["asyncio.Task[None]"]) -> float:
    """Citizens finish what they have begun, and the worker delivers the rest."""
    await asyncio.to_thread(world.no_more_faults)
    outside.over = True
    await asyncio.wait(clients, timeout=60)
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    began = time.monotonic()
    for _ in range(2 * _SETTLES_WITHIN):
        if not await hurry(world.server):
            break
        await asyncio.sleep(0.5)
    return time.monotonic() - began


async def run(world: World, given: argparse.Namespace, power: "PowerCut | None") -> list[str]:
    people = await settle(world, given.people, given.movers)
    settings = world.server.settings()
    began = time.monotonic()
    async with (
        httpx.AsyncClient(base_url=world.server.url, timeout=10, trust_env=False) as gateway,
        httpx.AsyncClient(base_url=world.partner_url, timeout=10, trust_env=False) as partner,
    ):
        outside = Outside(gateway, partner, settings.issuer_event_key.reveal().encode())
        waiting: asyncio.Queue[Citizen] = asyncio.Queue()
        for citizen in random.sample(people, len(people)):
            waiting.put_nowait(citizen)
        clients = [asyncio.create_task(live(outside, waiting)) for _ in range(given.clients)]
        await rounds(world, outside, given, power)
        took = time.monotonic() - began
        settled = await finish(world, outside, clients)
    await asyncio.to_thread(world.stop)
    wrong = await judge(world.server, world.folder / "partner.sqlite3", people)
    acknowledged = sum((citizen.acknowledged for citizen in people), start=type(outside.events)())
    print(
        f"{given.rounds} rounds in {took:.0f} s: {outside.sent} requests, {outside.cut_off} cut off"
        f" and repeated, {outside.passing} told to wait; settled in {settled:.0f} s"
    )
    print("acknowledged: " + ", ".join(f"{name} {n}" for name, n in acknowledged.most_common()))
    print("issuer events: " + ", ".join(f"{name} {n}" for name, n in outside.events.most_common()))
    return wrong + outside.refused[:5]


@contextlib.contextmanager
def place(given: argparse.Namespace) -> Iterator[tuple[World, "PowerCut | None"]]:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        power = None
        data = folder / "var"
        if given.power_cut:
            power = stack.enter_context(PowerCut.mounted(folder))
            data = power.mount
        world = World(folder, given.database, given.fault_rate, given.control or "", data)
        stack.callback(world.close)
        yield world, power


def main() -> None:
    options = argparse.ArgumentParser(
        prog="tests.soak.faults",
        description=faults.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--rounds", type=int, default=500)
    options.add_argument("--database", help="an empty PostgreSQL database; SQLite without it")
    options.add_argument("--clients", type=int, default=8)
    options.add_argument("--people", type=int, default=60)
    options.add_argument("--movers", type=int, default=60)
    options.add_argument("--fault-rate", type=float, default=0.3)
    options.add_argument("--power-cut", action="store_true")
    options.add_argument("--control", choices=controls.CONTROLS)
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Unmounts the file system.
    with place(given) as (world, power):
        wrong = asyncio.run(run(world, given, power))
    for line in wrong:
        print(f"  {line}")
    if given.control:
        print(f"control {given.control}: {'found' if wrong else 'NOT FOUND'}")
        raise SystemExit(0 if wrong else 1)
    print(
        "FAILED" if wrong else "everything is settled, each effect happened once, nothing is lost"
    )
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
