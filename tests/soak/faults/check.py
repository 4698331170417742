"""Invariants that must hold when everything is settled, and their violations."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import select, update

from bench.server import Server
from core.applications import applications_table
from core.audit import audit_entries_table, verify
from core.cards import CHENGDU, cards_table
from core.db import Database, Query, Transaction, connect
from core.kernel.confirmation import Confirmation
from core.messaging import outbox_table
from core.production import production_orders_table
from gateway.app import keys_from
from sandbox.issuer import ORDERS
from sandbox.partners import REGISTRY_CARDS
from tests.soak.faults.citizens import Citizen

_DUE_NOW = Query(
    update(outbox_table)
    .where(outbox_table.c.settled_at.is_(None), outbox_table.c.dead_at.is_(None))
    .values(due_at=0)
    .returning(outbox_table.c.id)
)
_OUTBOX = Query(select(outbox_table))
_ENTRIES = Query(select(audit_entries_table.c.subject_id, audit_entries_table.c.action))
_CARDS = Query(select(cards_table))
_ORDERS = Query(select(production_orders_table))
_APPLICATIONS = Query(select(applications_table.c.subject_id, applications_table.c.number))
_KINDS = (ORDERS, REGISTRY_CARDS)
_AT_PARTNERS = {
    "SMS": "sms",
    "SMS_CODE": "sms",
    "REGION_MOVE": "card-registry",
    "ISSUER_ORDER": "issuer",
}


async def hurry(server: Server) -> int:
    """Skips the back-off delays between tries. Returns how many messages are waiting."""
    database = await connect(server.database_url)

    async def job(db: Transaction) -> int:
        return len(await db.fetch(_DUE_NOW))

    try:
        return await database.write(job)
    finally:
        await database.close()


async def judge(server: Server, partner: Path, people: Iterable[Citizen]) -> list[str]:
    """Everything that is lost, duplicated, incomplete or not settled, one line each."""
    database = await connect(server.database_url)
    try:
        return [
            *await _effects(database, partner),
            *await _arrived(database, partner, people),
            *await _acknowledged(database, people),
            *await _cards_and_orders(database, server, people),
            *[
                str(step)
                async for step in verify.verify(database, keys_from(server.settings()).seals)
                if not isinstance(step, int)
            ],
        ]
    finally:
        await database.close()


async def _effects(database: Database, partner: Path) -> list[str]:
    """Compares the outbox with the partner's records, by idempotency key and content."""
    world = sqlite3.connect(partner)
    noted = world.execute("SELECT partner, key, digest FROM effects").fetchall()
    world.close()
    rows = await database.fetch(_OUTBOX)
    wanted = {
        (_AT_PARTNERS[row["kind"]], row["idempotency_key"])
        for row in rows
        if row["kind"] in _AT_PARTNERS
    }
    open_ = sum(row["settled_at"] is None for row in rows)
    by_key = Counter((name, key) for name, key, _ in noted)
    by_content = Counter((name, digest) for name, _, digest in noted if name != "sms")
    return [
        *([f"{open_} effects are not settled"] if open_ else []),
        *_counted("effects were done more than once, by key", by_key.values()),
        *_counted("effects were done more than once, by content", by_content.values()),
        *(
            [f"{len(lost)} effects never came to the partner"]
            if (lost := wanted - set(by_key))
            else []
        ),
        *(
            [f"{len(alien)} effects that nobody asked for"]
            if (alien := set(by_key) - wanted)
            else []
        ),
    ]


async def _arrived(database: Database, partner: Path, people: Iterable[Citizen]) -> list[str]:
    """Compares what citizens were promised with the partners' records, independently of the outbox."""
    world = sqlite3.connect(partner)
    things = world.execute("SELECT kind, key, value FROM things WHERE kind IN (?, ?)", _KINDS)
    found = {(kind, key): json.loads(value) for kind, key, value in things}
    world.close()
    rows = await database.fetch(_APPLICATIONS)
    ours = {citizen.id for citizen in people}
    orders = sum(row["subject_id"] in ours and (ORDERS, row["number"]) not in found for row in rows)
    moves = sum(
        found[REGISTRY_CARDS, citizen.moved]["regionCode"] != CHENGDU
        for citizen in people
        if citizen.moved is not None
    )
    return [
        *([f"{orders} orders were lost on the way to the issuer"] if orders else []),
        *([f"{moves} moves were lost on the way to the registry"] if moves else []),
    ]


def _counted(what: str, counts: Iterable[int]) -> list[str]:
    doubled = sum(count > 1 for count in counts)
    return [f"{doubled} {what}"] if doubled else []


async def _acknowledged(database: Database, people: Iterable[Citizen]) -> list[str]:
    entries: Counter[tuple[int, str]] = Counter(
        (row["subject_id"], row["action"]) for row in await database.fetch(_ENTRIES)
    )
    lost = doubled = 0
    for citizen in people:
        for action, count in citizen.acknowledged.items():
            lost += max(0, count - entries[citizen.id, action])
            doubled += max(0, entries[citizen.id, action] - count)
    return [
        *([f"{lost} acknowledged mutations have no entry"] if lost else []),
        *([f"{doubled} mutations were done more often than acknowledged"] if doubled else []),
    ]


async def _cards_and_orders(
    database: Database, server: Server, people: Iterable[Citizen]
) -> list[str]:
    vault = keys_from(server.settings()).vault
    own: dict[int, dict[str, str]] = {}
    unconfirmed = 0
    for row in await database.fetch(_CARDS):
        number = vault.open(bytes(row["number"]), "cards.number", row["id"])
        own.setdefault(row["subject_id"], {})[number] = row["state"]
        unconfirmed += row["confirmation"] != Confirmation.CONFIRMED.value
    for row in await database.fetch(_ORDERS):
        unconfirmed += row["confirmation"] != Confirmation.CONFIRMED.value
    no_card = missing = active = 0
    for citizen in people:
        mine = own.get(citizen.id, {})
        no_card += sum(number not in mine for number in citizen.orders.values())
        missing += bool(citizen.card) and citizen.card not in mine
        active += list(mine.values()).count("1") > 1
    return [
        *([f"{unconfirmed} orders or moves are still being confirmed"] if unconfirmed else []),
        *([f"{no_card} cards that the issuer made are missing"] if no_card else []),
        *([f"{missing} cards in the hand are missing"] if missing else []),
        *([f"{active} persons have two active cards"] if active else []),
    ]
