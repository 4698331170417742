"""100,000 events of the card issuer: once in order, and once shuffled with repeats.

    .venv/bin/python -m tests.soak.issuer_events [--events 100000] [--database postgresql://…/]

Two fresh databases get the same citizens: some with a card in production, some with a card. A
server process per database takes the events in signed batches of 1,000: one in order of time, the
other in random order with each event sent up to three times. Both must reach the same state:
nodes, card numbers, cards, applications, and the outcome of every event. Events per second are
printed. The events include failures and retries, temporary losses that expire and that do not,
locks, cancellations, and some that contradict others.
"""

import argparse
import asyncio
import contextlib
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
from sqlalchemy import and_, select

from bench.people import people
from bench.server import Server
from core.applications import ApplicationKind, applications
from core.cards import CHENGDU, Card, CardState, cards
from core.citizens import citizens
from core.crypto import Vault
from core.db import Database, Query, Writes, connect
from core.issuer import issuer_events_table
from core.kernel.clock import DAY, HOUR, MINUTE, Instant, moment
from core.production import NODES, orders, production_nodes_table, production_orders_table
from gateway.app import keys_from
from sandbox.issuer import signed_headers

BATCH = 1_000
_OURS = "SBK20260101"
"""Prefix of the order numbers; the sandbox's personas have others."""
_BANK = "SAMPLE-ICBC"

Event = dict[str, Any]

_NODES = Query(select(production_nodes_table))
_ORDERS = Query(
    select(
        production_orders_table,
        applications.applications_table.c.number,
        applications.applications_table.c.closed_at,
    ).join(
        applications.applications_table,
        and_(
            applications.applications_table.c.subject_id == production_orders_table.c.subject_id,
            applications.applications_table.c.id == production_orders_table.c.application_id,
        ),
    )
)
_CARDS = Query(select(cards.cards_table))
_EVENTS = Query(select(issuer_events_table.c.id, issuer_events_table.c.outcome))


@dataclass(frozen=True, slots=True)
class Holder:
    """Either `order` is in production for them, or they hold `card`."""

    number: str
    order: str | None
    card: str | None


def holders(count: int) -> list[tuple[tuple[str, ...], Holder]]:
    """Two of three are waiting for a card."""
    found = []
    for place, row in enumerate(people(count)):
        number, card = row[1], row[3]
        waits = place % 3 != 0
        order = f"{_OURS}{place:010d}" if waits else None
        found.append((row, Holder(number, order, None if waits else card)))
    return found


def history(holder: Holder, begin: Instant, draw: random.Random) -> list[Event]:
    """The issuer's events about one citizen, in order of time."""
    clock = begin + draw.randrange(DAY)
    events: list[Event] = []

    def report(kind: str, wait: int, **facts: Any) -> None:
        nonlocal clock
        clock += MINUTE + draw.randrange(wait)
        id_ = f"{draw.getrandbits(64):016x}"
        events.append({"id": id_, "type": kind, "at": moment(clock).isoformat(), **facts})

    if holder.order is not None:
        _make_card(holder.order, report, draw)
    else:
        _use_card(holder, report, draw)
    return events


def _make_card(order: str, report: Any, draw: random.Random) -> None:
    number = f"N{order[-7:]}0"
    for node in NODES[: draw.choice((6, 6, 6, 3, 5))]:
        facts = {"orderNumber": order, "node": node.value}
        if draw.random() < 0.02:
            continue  # What follows a missing result waits for ever.
        while draw.random() < 0.25:
            report("NODE_RESULT", HOUR, **facts, result="FAILED", reason="示例原因")
        late = NODES.index(node) >= 2
        more = {"cardNumber": number, "batchNumber": "B1"} if late else {}
        report("NODE_RESULT", DAY, **facts, result="DONE", **more)
        if draw.random() < 0.05:
            report("NODE_RESULT", HOUR, **facts, result="FAILED", reason="矛盾")


def _use_card(holder: Holder, report: Any, draw: random.Random) -> None:
    facts = {"cardNumber": holder.card, "socialSecurityNumber": holder.number}
    for _ in range(draw.randint(3, 6)):
        kind = draw.choice(("TEMPORARY_LOSS", "LOCK"))
        report(kind, draw.choice((DAY, 9 * DAY)), **facts)
        if kind == "LOCK" and draw.random() < 0.9:
            report("UNLOCK", DAY, **facts)
    if draw.random() < 0.1:
        report("CANCEL", DAY, **facts)


def all_events(found: Iterable[Holder], begin: Instant, seed: int) -> list[Event]:
    """All events, in order of time."""
    draw = random.Random(seed)
    events = [event for holder in found for event in history(holder, begin, draw)]
    return sorted(events, key=lambda event: str(event["at"]))


def shuffled(events: Sequence[Event], seed: int) -> list[Event]:
    """Each event one to three times, in random order."""
    draw = random.Random(seed)
    sent = [event for event in events for _ in range(draw.randint(1, 3))]
    draw.shuffle(sent)
    return sent


async def register(
    database: Database, vault: Vault, now: Instant, found: Sequence[tuple[tuple[str, ...], Holder]]
) -> None:
    for first in range(0, len(found), 200):
        writes = Writes()
        for row, holder in found[first : first + 200]:
            _register(writes, vault, now, row, holder)
        await database.apply(writes)


def _register(
    writes: Writes, vault: Vault, now: Instant, row: tuple[str, ...], holder: Holder
) -> None:
    person = citizens.register(writes, vault, now, name=row[0], number=row[1], phone=row[2]).id
    if holder.order is not None:
        application = applications.accept(
            writes,
            vault,
            now,
            citizen_id=person,
            kind=ApplicationKind.APPLY,
            form="{}",
            number=holder.order,
        )
        orders.place(
            writes,
            now,
            citizen_id=person,
            application=application,
            bank_code=_BANK,
            outlet_code="X",
        )
        return
    cards.issue(
        writes,
        vault,
        now,
        citizen_id=person,
        number=str(holder.card),
        region_code=CHENGDU,
        batch_number=None,
        issue_date="2024-03-15",
        bank_code=_BANK,
        state=CardState.ACTIVE,
    )


async def end_state(database: Database, vault: Vault, now: Instant) -> dict[str, Any]:
    """Everything that a citizen or an operator can see, without generated ids."""
    orders = {row["id"]: row for row in await database.fetch(_ORDERS) if _OURS in row["number"]}
    state: dict[str, Any] = {}
    for row in orders.values():
        number = row["card_number"] and vault.open(
            bytes(row["card_number"]), "production_orders.card_number", row["id"]
        )
        state["order " + row["number"]] = (row["batch_number"], number, row["closed_at"] is None)
    for row in await database.fetch(_NODES):
        if row["order_id"] not in orders:
            continue
        order = orders[row["order_id"]]["number"]
        state[f"node {order} {row['node']}"] = (row["result"], row["at"], row["reason"])
    for row in await database.fetch(_CARDS):
        card = Card.from_row(row, vault, now)
        # A card is sealed since we received the event, which differs between two runs.
        since = 0 if card.state_since > now - HOUR else card.state_since
        if card.number.reveal()[0] in "BN":
            state["card " + card.number.reveal()] = (card.state, since, card.issue_date)
    for row in await database.fetch(_EVENTS):
        state["event " + row["id"]] = row["outcome"]
    return state


# --- the run -------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def fresh(url: str | None, name: str) -> Any:
    """A new database on the server at `url`; None for SQLite."""
    if url is None:
        yield None
        return
    database = f"bench_issuer_{name}_{os.getpid()}"
    connection = await asyncpg.connect(url + "/postgres")
    await connection.execute(f"CREATE DATABASE {database}")
    try:
        yield f"{url}/{database}"
    finally:
        await connection.execute(f"DROP DATABASE {database} WITH (FORCE)")
        await connection.close()


async def measure(
    title: str,
    url: str | None,
    found: Sequence[tuple[tuple[str, ...], Holder]],
    sent: list[Event],
    now: Instant,
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), url)
        await asyncio.to_thread(server.start)
        settings = server.settings()
        database = await connect(settings.database_url, settings.database_limits.patient())
        try:
            await register(database, keys_from(settings).vault, now - 90 * DAY, found)
            begin = time.monotonic()
            outcomes = await post(server, settings.issuer_event_key.reveal().encode(), sent)
            took = time.monotonic() - begin
            print(
                f"{title}: {len(sent):,} events in {took:.1f} s, {len(sent) / took:,.0f} a second; "
                + ", ".join(f"{name} {count:,}" for name, count in outcomes.most_common())
            )
            return await end_state(database, keys_from(settings).vault, now)
        finally:
            await database.close()
            await asyncio.to_thread(server.stop)


async def post(server: Server, key: bytes, sent: Sequence[Event]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as http:
        for batch in batches(sent):
            body = orjson.dumps({"events": batch})
            headers = signed_headers(key, body, int(time.time()))
            reply = await http.post("/issuer/events", content=body, headers=headers)
            assert reply.status_code == 200, reply.text
            outcomes.update(event["outcome"] for event in reply.json()["events"])
    return outcomes


def batches(events: Sequence[Event], size: int = BATCH) -> Iterator[Sequence[Event]]:
    for first in range(0, len(events), size):
        yield events[first : first + size]


async def run(given: argparse.Namespace) -> bool:
    found = holders(given.events // 6)
    now = time.time_ns() // 1_000_000
    begin = now - 80 * DAY
    events = all_events((holder for _, holder in found), begin, given.seed)[: given.events]
    sent = shuffled(events, given.seed)
    async with fresh(given.database, "a") as first, fresh(given.database, "b") as second:
        once = await measure("in order, once", first, found, events, now)
        mixed = await measure("shuffled, up to three times", second, found, sent, now)
    differing = [name for name in once.keys() | mixed.keys() if once.get(name) != mixed.get(name)]
    for name in sorted(differing)[:5]:
        print(f"  {name}: {once.get(name)} in order, {mixed.get(name)} shuffled")
    same = "the same end" if not differing else f"{len(differing):,} of {len(once):,} differ"
    print(f"{len(events):,} events of {len(found):,} people: {same}")
    return not differing


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--database", help="postgresql://host, where databases may be made")
    given = options.parse_args()
    raise SystemExit(0 if asyncio.run(run(given)) else 1)


if __name__ == "__main__":
    main()
