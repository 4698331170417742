"""Rotates every key under load, with 100,000 citizens and repeated kills; no read may fail.

    .venv/bin/python -m bench.rotate_keys [--people 100000] [--kills 20] [--clients 8]
        [--database-url postgresql://127.0.0.1:5432/name] [--control]

The data is created under the old keys. Then, in the order of docs/keys.md, a server with the new
keys first and the old ones behind them serves queries, mutations and sign-ins, while
`card-gateway rotate-keys` is killed at random moments and restarted. Afterwards no row may be
left under the old keys, every citizen must be found and decrypted with the new keys alone, and
the audit chains must be intact. `--control` looks every citizen up with the new keys alone
before the rotation, and must find none.
"""

import argparse
import asyncio
import base64
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from bench.people import people, write_people
from bench.server import Server
from core.audit import verify
from core.cards import cards_table
from core.citizens import citizens_table
from core.citizens.citizens import find_by_number
from core.db import Query, connect
from core.kernel.settings import Settings
from core.keys import rotation
from gateway.app import keys_from
from tests.soak import ws_load
from tests.soak.ws_load import UNLIMITED, bearer, mutation, verdict

RINGS = ("column_keys", "index_keys", "peppers", "audit_keys")
_STATUS = "{ cardStatus { __typename ... on CardStatus { cardNumber } } }"


def key(name: str) -> str:
    return f"{name}:{base64.b64encode(os.urandom(32)).decode()}"


@dataclass(slots=True)
class Load:
    seen: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    stopping: bool = False

    async def reader(self, http: httpx.AsyncClient, token: str) -> None:
        while not self.stopping:
            await self._note("read", "CardStatus", ws_load.post(http)(_STATUS, {}, bearer(token)))

    async def writer(self, http: httpx.AsyncClient, token: str) -> None:
        while not self.stopping:
            code = f"61{random.randrange(10**4):04d}"  # noqa: S311
            given = {"i": {"residentialPostalCode": code}}
            job = ws_load.post(http)(mutation("changeContact"), given, bearer(token))
            await self._note("change", "ContactChanged", job)

    async def visitor(self, http: httpx.AsyncClient) -> None:
        """Looked up by the index of their number, and of their account."""
        while not self.stopping:
            token = await ws_load.sign_in(http, "active")
            await self._note(
                "sign-in", "CardStatus", ws_load.post(http)(_STATUS, {}, bearer(token))
            )

    async def _note(self, kind: str, wanted: str, job: Any) -> None:
        try:
            found = verdict(await job)
        except Exception as error:
            found = type(error).__name__
        self.seen[kind] += 1
        if found != wanted:
            self.failed.append(f"{kind}: {found}")


async def rotate(server: Server, kills: int) -> tuple[int, float]:
    """Returns the number of kills and the seconds that it ran."""
    began, killed = time.monotonic(), 0
    command = (Path(sys.executable).with_name("card-gateway"), "rotate-keys", "--operator", "bench")
    while True:
        log = (server.folder / "rotate.log").open("ab")
        process = subprocess.Popen(  # noqa: ASYNC220, S603
            command, cwd=server.folder, env=server.environment, stdout=log, stderr=log
        )
        try:
            moment = random.uniform(1.5, 4) if killed < kills else None  # noqa: S311
            await asyncio.to_thread(process.wait, moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
            killed += 1
            left = await stale(Settings.read(server.environment))
            print(f"  killed {killed}, {left:,} rows left", flush=True)
            continue
        finally:
            log.close()
        if process.returncode:
            print((server.folder / "rotate.log").read_text()[-1500:])
            raise SystemExit("rotate-keys failed")
        return killed, time.monotonic() - began


async def stale(settings: Settings) -> int:
    database = await connect(settings.database_url, settings.database_limits.patient())
    try:
        return await rotation.count_stale(database, keys_from(settings))
    finally:
        await database.close()


async def found(settings: Settings, count: int) -> int:
    """How many citizens are found by their number and decrypted, with these keys."""
    keys, database = (
        keys_from(settings),
        await connect(settings.database_url, settings.database_limits.patient()),
    )
    try:
        return sum([await _is_whole(database, keys.vault, row) for row in people(count)])
    finally:
        await database.close()


async def _is_whole(database: Any, vault: Any, row: tuple[str, ...]) -> bool:
    citizen = await find_by_number(database, vault, row[1])
    return (
        citizen is not None
        and citizen.name.reveal() == row[0]
        and citizen.phone is not None
        and citizen.phone.reveal() == row[2]
    )


async def check(alone: Settings, count: int) -> list[str]:
    wrong = []
    if left := await stale(alone):
        wrong.append(f"{left:,} rows left under old keys")
    if (whole := await found(alone, count)) != count:
        wrong.append(f"only {whole:,} of {count:,} people found and opened")
    keys, database = (
        keys_from(alone),
        await connect(alone.database_url, alone.database_limits.patient()),
    )
    try:
        wrong += [
            str(step)
            async for step in verify.verify(database, keys.seals)
            if not isinstance(step, int)
        ]
        rows = await database.fetch_one(
            Query(
                select(
                    select(func.count())
                    .select_from(citizens_table)
                    .scalar_subquery()
                    .label("people"),
                    select(func.count()).select_from(cards_table).scalar_subquery().label("cards"),
                )
            )
        )
        assert rows is not None
        print(f"  {rows['people']:,} people, {rows['cards']:,} cards")
    finally:
        await database.close()
    return wrong


async def run(given: argparse.Namespace, folder: Path) -> bool:
    old: dict[str, Any] = {name: key("old") for name in RINGS}
    new = {name: key("new") for name in RINGS}
    both: dict[str, Any] = {name: f"{new[name]},{old[name]}" for name in RINGS}
    alone: dict[str, Any] = {
        name: both[name] if name == "audit_keys" else new[name] for name in RINGS
    }
    first = Server(folder, given.database_url, **old)
    serving = Server(folder, given.database_url, **UNLIMITED, **both)
    last = Server(folder, given.database_url, **alone)
    first.start()
    first.stop()
    first.command(
        "import-cards",
        "--operator",
        "bench",
        str(write_people(folder / "people.csv", given.people)),
    )
    serving.start()
    try:
        good = True
        if given.control:
            count = await found(Settings.read(last.environment), min(given.people, 1000))
            print(f"control: with the new keys alone, {count} of 1,000 people are found")
            good = count == 0
        load = Load()
        async with ws_load.client(serving.url) as http:
            tokens = [await ws_load.sign_in(http, "active") for _ in range(given.clients)]
            clients = [asyncio.create_task(load.reader(http, token)) for token in tokens]
            clients += [
                asyncio.create_task(load.writer(http, tokens[0])),
                asyncio.create_task(load.visitor(http)),
            ]
            killed, took = await rotate(serving, given.kills)
            load.stopping = True
            await asyncio.gather(*clients)
    finally:
        serving.stop()
    wrong = await check(Settings.read(last.environment), given.people)
    print(
        f"{given.people:,} people; killed {killed} times, {took:.0f} s in all; meanwhile"
        f" {load.seen['read']:,} reads, {load.seen['change']:,} changes,"
        f" {load.seen['sign-in']:,} sign-ins, {len(load.failed)} of them failed"
    )
    for line in [*load.failed[:5], *wrong]:
        print(f"  {line}")
    ok = good and not wrong and not load.failed
    print("no read failed, nothing is left under the old keys" if ok else "FAILED")
    return ok


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--people", type=int, default=100_000)
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--clients", type=int, default=8)
    options.add_argument("--database-url")
    options.add_argument("--control", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        raise SystemExit(0 if asyncio.run(run(given, Path(name))) else 1)


if __name__ == "__main__":
    main()
