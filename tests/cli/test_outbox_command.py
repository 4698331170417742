"""`card-gateway outbox`: what operators see of undelivered effects, and what they can do."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx

from core import audit
from core.cards import CHENGDU, CardState, cards
from core.citizens import citizens
from core.db import Database, Query, Transaction, Writes, connect
from core.kernel.clock import DAY
from core.kernel.confirmation import Confirmation
from core.kernel.settings import Settings
from core.messaging import MessageKind, outbox
from core.messaging.outbox import OutboxMessage
from core.unit_of_work import Dependencies, UnitOfWork
from gateway.app import build_dependencies
from gateway.resolvers.context import system_clock
from sandbox.personas import PERSONAS
from tests.cli.conftest import Command
from tests.conftest import settings_for
from tests.units import perform_in

T = TypeVar("T")

PERSON = PERSONAS["active"]
BY = ("--operator", "柜员一")
_ROWS = Query(outbox.outbox_table.select().order_by(outbox.outbox_table.c.id))
_CARDS = Query(cards.cards_table.select())
_ENTRIES = Query(audit.audit_entries_table.select().order_by(audit.audit_entries_table.c.number))


def inside(
    url: str, folder: Path, work: Callable[[Database, Dependencies], Coroutine[Any, Any, T]]
) -> T:
    """Runs with the database open, as a worker would."""

    async def run() -> T:
        settings: Settings = settings_for(url, folder)
        async with httpx.AsyncClient(trust_env=False) as http:
            dependencies = build_dependencies(settings, http)
            database = await connect(url)
            try:
                return await work(database, dependencies)
            finally:
                await database.close()
                dependencies.hasher.close()
                dependencies.pictures_pool.close()

    return asyncio.run(run())


def park(url: str, folder: Path, kind: MessageKind, **payload: Any) -> str:
    """An effect of the persona's that was given up. Returns its id."""

    async def work(database: Database, dependencies: Dependencies) -> str:
        now = system_clock() - 8 * DAY

        async def put(unit: UnitOfWork) -> int:
            citizen = await citizens.find_by_number(
                unit.db, dependencies.vault, PERSON.social_security_number
            )
            assert citizen is not None
            if kind is MessageKind.REGION_MOVE:
                payload["cardId"] = _moved_card(unit, citizen.id)
            outbox.put(unit, subject_id=citizen.id, kind=kind, payload=payload)
            return citizen.id

        async def claim(db: Transaction) -> OutboxMessage:
            (claimed,) = await outbox.claim(db, dependencies.vault, owner, [kind], now)
            return claimed

        owner = await perform_in(database, dependencies, now, put)
        writes = Writes()
        outbox.dead_letter(writes, await database.write(claim), now, "rejected: SAMPLE")
        await database.apply(writes)
        row = (await database.fetch(_ROWS))[-1]
        return f"{row['subject_id']}-{row['id']}"

    return inside(url, folder, work)


def _moved_card(unit: UnitOfWork, owner: int) -> int:
    card = cards.issue(
        unit.writes,
        unit.dependencies.vault,
        unit.now,
        citizen_id=owner,
        number="SAMPLE999",
        region_code=CHENGDU,
        bank_code="SAMPLE-ICBC",
        batch_number=None,
        issue_date="2020-01-01",
        state=CardState.LOST,
        confirmation=Confirmation.BEING_CONFIRMED,
    )
    return card.id


def rows(url: str, folder: Path, query: Query = _ROWS) -> list[dict[str, Any]]:
    async def work(database: Database, _: Dependencies) -> list[dict[str, Any]]:
        return [dict(row) for row in await database.fetch(query)]  # type: ignore[call-overload]

    return inside(url, folder, work)


def test_lists_what_is_not_delivered_without_personal_data(
    command: Command, keys: str, environment: Path
) -> None:
    shown_id = park(keys, environment, MessageKind.SMS, phone=PERSON.phone, text="您好")

    done = command("outbox", "list")

    assert done.code == 0
    line = done.out.splitlines()[1]
    assert line.split()[:4] == [shown_id, "SMS", "dead", "1"]
    assert line.endswith("rejected: SAMPLE")
    assert done.out.splitlines()[-1] == "1 shown."
    for personal in (PERSON.phone, PERSON.name, PERSON.social_security_number, "您好"):
        assert personal not in done.out


def test_takes_a_dead_letter_up_again_even_after_its_time(
    command: Command, keys: str, environment: Path
) -> None:
    shown_id = park(keys, environment, MessageKind.SMS)
    expired_at = rows(keys, environment)[0]["expires_at"]

    done = command("outbox", "retry", shown_id, *BY)

    row = rows(keys, environment)[0]
    assert (done.code, done.out) == (0, "1 will be delivered again.\n")
    assert row["dead_at"] is None
    assert expired_at < system_clock() < row["expires_at"]
    assert "waiting" in command("outbox", "list").out
    assert command("outbox", "retry", shown_id, *BY).code == 1


def test_takes_all_up_again(command: Command, keys: str, environment: Path) -> None:
    for _ in range(3):
        park(keys, environment, MessageKind.SMS)

    assert command("outbox", "retry", "--all", *BY).out == "3 will be delivered again.\n"
    assert command("outbox", "retry", *BY).code == 1


def test_a_dropped_move_is_undone_and_told(command: Command, keys: str, environment: Path) -> None:
    shown_id = park(keys, environment, MessageKind.REGION_MOVE)
    before = len(rows(keys, environment, _CARDS))

    done = command("outbox", "drop", shown_id, *BY)

    dropped, told = rows(keys, environment)[0], rows(keys, environment)[1]
    assert (done.code, done.out) == (0, "Dropped.\n")
    assert (dropped["failure"], dropped["payload"]) == ("refused: DROPPED", None)
    assert len(rows(keys, environment, _CARDS)) == before - 1
    assert told["kind"] == "SMS"
    entry = [
        row for row in rows(keys, environment, _ENTRIES) if row["action"] == "TRANSFER_REFUSED"
    ]
    assert [(row["result"], row["channel"]) for row in entry] == [("DROPPED", "WORKER")]
    assert command("outbox", "drop", shown_id, *BY).code == 1
    assert acts(keys, environment) == [
        ("OPERATOR", {"command": "outbox drop", "operator": "柜员一"})
    ]


def test_what_an_operator_retries_stands_in_the_audit_log(
    command: Command, keys: str, environment: Path
) -> None:
    shown_id = park(keys, environment, MessageKind.SMS)
    before = rows(keys, environment)

    nameless = command("outbox", "retry", shown_id)
    unchanged = rows(keys, environment), acts(keys, environment)
    command("outbox", "retry", shown_id, *BY)

    assert (nameless.code, unchanged) == (2, (before, []))
    assert acts(keys, environment) == [
        ("OPERATOR", {"command": "outbox retry", "operator": "柜员一"})
    ]
    assert command("verify-audit").code == 0


def acts(keys: str, folder: Path) -> list[tuple[str, dict[str, str]]]:
    """What operators did, as the audit log has it."""
    return [
        (row["channel"], json.loads(row["details"]))
        for row in rows(keys, folder, _ENTRIES)
        if row["action"] == "OPERATOR_COMMAND"
    ]


def test_nothing_is_dropped_that_is_not_dead(
    command: Command, keys: str, environment: Path
) -> None:
    shown_id = park(keys, environment, MessageKind.SMS)
    command("outbox", "retry", shown_id, *BY)
    before = rows(keys, environment)

    done = command("outbox", "drop", shown_id, *BY)

    assert (done.code, done.out) == (1, f"No dead letter has the id {shown_id}.\n")
    assert rows(keys, environment) == before
