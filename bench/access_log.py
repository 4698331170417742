"""CPU of a look: recording it, and its share of the batch that writes it.

    .venv/bin/python -m bench.access_log [--people 200000] [--looks 5000] [--rounds 20] [--database-url …]

Each person has five rows from earlier months. Then looks of persons at random are recorded and
written 500 at a time: of everybody, and of one person in ten. Beside it the same rows are inserted
alone, without entry and MACs, in transactions of the same size. The figures are the process's CPU time
per look in µs, the lowest of several rounds; on PostgreSQL the server's CPU is not in them.
"""

import argparse
import asyncio
import random
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable

from core.audit import DONE, AccessLogWriter, Action, access_log_table
from core.audit.access_log import AccessRow, month_of, text_of_row
from core.crypto import KeyRing, Seals
from core.db import Database, Limits, Transaction, connect, insert_into
from core.kernel.callers import Caller, ChannelId, RealNameLevel
from core.kernel.clock import DAY
from core.kernel.ids import new_id
from core.migrations import migrate
from gateway.resolvers.context import system_clock

_BATCH = 500
_EARLIER = 5
_INSERT = insert_into(access_log_table)
_COLUMNS = access_log_table.columns.keys()


def row(caller: Caller, at: int, number: int) -> AccessRow:
    batch, position = divmod(number, _BATCH)
    action, channel = Action.CARD_STATUS.value, ChannelId.WECHAT.value
    return AccessRow(
        caller.citizen_id or 0,
        month_of(at),
        at,
        9,
        batch,
        position,
        action,
        DONE,
        channel,
        caller.session_id,
    )


async def insert(database: Database, rows: Iterable[AccessRow]) -> None:
    async def job(db: Transaction) -> None:
        await db.execute_many(_INSERT, [dict(zip(_COLUMNS, row, strict=True)) for row in rows])

    await database.write(job)


class Bench:
    def __init__(self, database: Database, people: list[Caller]) -> None:
        self._database = database
        self._people = people
        self._number = 0
        self.seals = Seals(*(KeyRing({"one": secrets.token_bytes(32)}) for _ in range(2)))
        self.writer = AccessLogWriter(database, self.seals, system_clock, 60)

    async def fill(self) -> None:
        now = system_clock()
        for earlier in range(_EARLIER, 0, -1):
            await self._alone(self._people, now - earlier * 31 * DAY)

    async def recorded(self, people: list[Caller]) -> None:
        for start in range(0, len(people), _BATCH):
            for caller in people[start : start + _BATCH]:
                self.writer.record(caller, system_clock(), Action.CARD_STATUS)
            await self.writer.flush()

    async def alone(self, people: list[Caller]) -> None:
        await self._alone(people, system_clock())

    async def _alone(self, people: list[Caller], at: int) -> None:
        for start in range(0, len(people), _BATCH):
            some = sorted(people[start : start + _BATCH], key=lambda one: one.citizen_id or 0)
            await insert(
                self._database, [row(one, at, self._number + n) for n, one in enumerate(some)]
            )
            self._number += _BATCH

    async def macs(self, people: list[Caller]) -> None:
        at = system_clock()
        self.seals.audit_set(text_of_row(row(one, at, n)) for n, one in enumerate(people))


async def cpu_per_look(
    work: Callable[[list[Caller]], Awaitable[None]], people: list[Caller]
) -> float:
    began = time.process_time()
    await work(people)
    return (time.process_time() - began) / len(people) * 1e6


async def measure(url: str, given: argparse.Namespace) -> None:
    database = await connect(url, Limits().patient())
    now, some = system_clock(), random.Random(1)  # noqa: S311
    ids = [new_id(now - some.randrange(3_000 * DAY)) for _ in range(given.people)]
    people = [Caller(ChannelId.WECHAT, one + 1, one, b"", RealNameLevel.BOUND) for one in ids]
    bench = Bench(database, sorted(people, key=lambda one: one.citizen_id or 0))
    try:
        await bench.fill()
        print(f"{'looks of':20}{'a look':>10}{'alone':>10}{'MACs':>10}")
        for label, persons in (
            ("everybody", people),
            ("one in ten", people[: len(people) // 10]),
        ):
            rounds = []
            for _ in range(given.rounds):
                looking = [some.choice(persons) for _ in range(given.looks)]
                works = (bench.recorded, bench.alone, bench.macs)
                rounds.append([await cpu_per_look(work, looking) for work in works])
            figures = [min(each) for each in zip(*rounds, strict=True)]
            print(f"{label:20}" + "".join(f"{figure:10.1f}" for figure in figures))
    finally:
        await database.close()


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--people", type=int, default=200_000)
    options.add_argument("--looks", type=int, default=5_000)
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--database-url", default="")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.database_url or f"sqlite:///{folder}/access_log.sqlite3"
        migrate(url)
        asyncio.run(measure(url, given))


if __name__ == "__main__":
    main()
