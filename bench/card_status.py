"""How long `cardStatus` takes at 32 connections, with few cards in the database and with many.

    .venv/bin/python -m bench.card_status [--cards 1000 200000] [--seconds 10]

For each size a fresh database is filled through `card-gateway import-cards`, sessions of
many different people are started through the core, and a server process of its own answers
over HTTP. The load is wrk's where it is installed, with a random session in each request;
otherwise a generator in Python, which is slower than the server.
"""

import argparse
import asyncio
import json
import random
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from bench.people import write_people
from bench.server import Server, vault_of
from core import sessions
from core.callers import ChannelId, RealNameLevel
from core.citizens import citizens
from core.clock import HOUR, Instant
from core.database import Query, Transaction, connect

CONNECTIONS = 32
MOST_SESSIONS = 10_000
BODY = json.dumps(
    {
        "query": "{ cardStatus { __typename ... on CardStatus { name socialSecurityNumber"
        " cardNumber issueDate bank homeRegion state } ... on Refusal { code message } } }"
    }
)
_EVERYBODY = Query(select(citizens.c.id))
_LUA = """
local tokens, refused = {}, 0
for token in io.lines("tokens.txt") do tokens[#tokens + 1] = token end
local headers = {["Content-Type"] = "application/json"}
local body = io.open("body.json"):read("*a")
math.randomseed(os.time())
function request()
  headers["Authorization"] = "Bearer " .. tokens[math.random(#tokens)]
  return wrk.format("POST", "/graphql", headers, body)
end
local threads = {}
function setup(thread) table.insert(threads, thread) end
wrong = 0
function response(status, headers, body)
  if status ~= 200 or not body:find('"__typename":"CardStatus"', 1, true) then wrong = wrong + 1 end
end
function done(summary, latency)
  local bad = 0
  for _, thread in ipairs(threads) do bad = bad + thread:get("wrong") end
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), bad))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """Latencies are in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    wrong: int


@dataclass(frozen=True, slots=True)
class Measured:
    cards: int
    import_rate: float
    load: Load
    cpu_us: float
    memory_mb: float


def measure(cards: int, seconds: int) -> Measured:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder)
        server.command("migrate")
        file = write_people(folder / "cards.csv", cards)
        began = time.monotonic()
        print(f"  {server.command('import-cards', str(file), '--sandbox')}", flush=True)
        rate = cards / (time.monotonic() - began)
        tokens = asyncio.run(_start_sessions(server))
        server.start()
        try:
            _load(server, tokens, 2)
            cpu = server.cpu_seconds()
            load = _load(server, tokens, seconds)
            cpu = server.cpu_seconds() - cpu
            return Measured(cards, rate, load, cpu / load.requests * 1e6, server.memory_mb())
        finally:
            server.stop()


async def _start_sessions(server: Server) -> list[str]:
    """Of people spread over the whole table."""
    settings = server.settings()
    vault, now = vault_of(settings), time.time_ns() // 1_000_000
    database = await connect(settings.database_url)
    try:
        people = [row["id"] for row in await database.fetch(_EVERYBODY)]
        chosen = random.Random(1).sample(people, min(len(people), MOST_SESSIONS))  # noqa: S311

        async def job(db: Transaction) -> list[str]:
            return [
                (
                    await sessions.start(
                        db,
                        now,
                        channel=ChannelId.UNIONPAY,
                        account_index=vault.index(f"bench-{person}", "account"),
                        account=vault.seal(f"bench-{person}", "sessions.account", person),
                        citizen_id=person,
                        level=RealNameLevel.PLATFORM,
                        lifetime=_LIFETIME,
                    )
                ).token
                for person in chosen
            ]

        return await database.write(job)
    finally:
        await database.close()


_LIFETIME: Instant = 2 * HOUR


def _load(server: Server, tokens: list[str], seconds: int) -> Load:
    wrk = shutil.which("wrk")
    if wrk is None:
        return asyncio.run(_python_load(server, tokens, seconds))
    (server.folder / "tokens.txt").write_text("\n".join(tokens))
    (server.folder / "body.json").write_text(BODY)
    (server.folder / "load.lua").write_text(_LUA)
    done = subprocess.run(  # noqa: S603
        [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", "load.lua", server.url],
        cwd=server.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    requests, duration, p50, p99, wrong = map(int, found.groups())
    return Load(requests, duration / 1e6, p50 / 1e3, p99 / 1e3, wrong)


async def _python_load(server: Server, tokens: list[str], seconds: int) -> Load:
    """Keep-alive connections that each ask, wait for the answer, and ask again."""
    took: list[float] = []
    wrong = 0
    ends = time.monotonic() + seconds

    async def client() -> None:
        nonlocal wrong
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while (began := time.monotonic()) < ends:
            token = random.choice(tokens)  # noqa: S311
            writer.write(
                f"POST /graphql HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {token}\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            assert length is not None
            answer = await reader.readexactly(int(length[1]))
            took.append(time.monotonic() - began)
            wrong += b'"__typename":"CardStatus"' not in answer
        writer.close()

    began = time.monotonic()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    took.sort()
    return Load(
        len(took),
        time.monotonic() - began,
        took[len(took) // 2] * 1e3,
        took[len(took) * 99 // 100] * 1e3,
        wrong,
    )


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--cards", type=int, nargs="+", default=[1_000, 200_000])
    options.add_argument("--seconds", type=int, default=10)
    given = options.parse_args()
    found = [measure(cards, given.seconds) for cards in given.cards]
    tool = "wrk" if shutil.which("wrk") else "a generator in Python"
    print(f"\ncardStatus, {CONNECTIONS} keep-alive connections, load from {tool}\n")
    _row("cards", [f"{m.cards:,}" for m in found])
    _row("p50 ms", [f"{m.load.p50:.1f}" for m in found])
    _row("p99 ms", [f"{m.load.p99:.1f}" for m in found])
    _row("requests/s", [f"{m.load.requests / m.load.seconds:,.0f}" for m in found])
    _row("CPU µs a request", [f"{m.cpu_us:,.0f}" for m in found])
    _row("requests", [f"{m.load.requests:,}" for m in found])
    _row("wrong answers", [f"{m.load.wrong:,}" for m in found])
    _row("server memory MB", [f"{m.memory_mb:,.0f}" for m in found])
    _row("import rows/s, start included", [f"{m.import_rate:,.0f}" for m in found])


def _row(title: str, values: list[str]) -> None:
    print(f"  {title:<30}" + "".join(f"{value:>14}" for value in values))


if __name__ == "__main__":
    main()
