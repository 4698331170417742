"""`card-gateway outbox`: what operators see of undelivered effects, and what they can do."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx

from core import audit
from core.cards import CHENGDU, CardState, cards
from core.citizens import citizens
from core.db import Database, Query, Transaction, connect
from core.kernel.clock import DAY
from core.kernel.confirmation import Confirmation
from core.kernel.settings import Settings
from core.messaging import EffectKind, outbox
from core.unit_of_work import Tools, Unit
from gateway.app import build_tools
from gateway.resolvers.context import system_clock
from sandbox.personas import PERSONAS
from tests.cli.conftest import Command
from tests.conftest import settings_for

T = TypeVar("T")

PERSON = PERSONAS["active"]
_ROWS = Query(outbox.outbox_table.select().order_by(outbox.outbox_table.c.id))
_CARDS = Query(cards.cards_table.select())
_ENTRIES = Query(audit.audit_entries_table.select().order_by(audit.audit_entries_table.c.number))


def inside(url: str, folder: Path, work: Callable[[Database, Tools], Coroutine[Any, Any, T]]) -> T:
    """Runs with the database open, as a worker would."""

    async def run() -> T:
        settings: Settings = settings_for(url, folder)
        async with httpx.AsyncClient(trust_env=False) as http:
            tools = build_tools(settings, http)
            database = await connect(url)
            try:
                return await work(database, tools)
            finally:
                await database.close()
                tools.hasher.close()
                tools.studio.close()

    return asyncio.run(run())


def park(url: str, folder: Path, kind: EffectKind, **payload: Any) -> int:
    """An effect of the persona's that was given up. Returns its number."""

    async def work(database: Database, tools: Tools) -> int:
        now = system_clock() - 8 * DAY

        async def put(db: Transaction) -> None:
            citizen = await citizens.find_by_number(db, tools.vault, PERSON.social_security_number)
            assert citizen is not None
            unit = Unit(db, now, None, tools)
            if kind is EffectKind.REGION_MOVE:
                payload["cardId"] = await _moved_card(unit, citizen.id)
            await outbox.put(unit, person=citizen.id, kind=kind, payload=payload)
            (effect,) = await outbox.claim(db, tools.vault, now, kind, 1)
            await outbox.park(db, effect, now, "rejected: SAMPLE")

        await database.write(put)
        return int((await database.fetch(_ROWS))[-1]["id"])

    return inside(url, folder, work)


async def _moved_card(unit: Unit, owner: int) -> int:
    return await cards.issue(
        unit.db,
        unit.tools.vault,
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


def rows(url: str, folder: Path, query: Query = _ROWS) -> list[dict[str, Any]]:
    async def work(database: Database, _: Tools) -> list[dict[str, Any]]:
        return [dict(row) for row in await database.fetch(query)]  # type: ignore[call-overload]

    return inside(url, folder, work)


def test_lists_what_is_not_delivered_without_personal_data(
    command: Command, keys: str, environment: Path
) -> None:
    number = park(keys, environment, EffectKind.SMS, phone=PERSON.phone, text="您好")

    done = command("outbox", "list")

    assert done.code == 0
    line = done.out.splitlines()[1]
    assert line.split()[:4] == [str(number), "SMS", "parked", "1"]
    assert line.endswith("rejected: SAMPLE")
    assert done.out.splitlines()[-1] == "1 shown."
    for personal in (PERSON.phone, PERSON.name, PERSON.social_security_number, "您好"):
        assert personal not in done.out


def test_takes_a_parked_effect_up_again_even_after_its_time(
    command: Command, keys: str, environment: Path
) -> None:
    number = park(keys, environment, EffectKind.SMS)
    expired_at = rows(keys, environment)[0]["expires_at"]

    done = command("outbox", "retry", str(number))

    row = rows(keys, environment)[0]
    assert (done.code, done.out) == (0, "1 taken up again.\n")
    assert row["parked_at"] is None
    assert expired_at < system_clock() < row["expires_at"]
    assert "waiting" in command("outbox", "list").out
    assert command("outbox", "retry", str(number)).code == 1


def test_takes_all_up_again(command: Command, keys: str, environment: Path) -> None:
    for _ in range(3):
        park(keys, environment, EffectKind.SMS)

    assert command("outbox", "retry", "--all").out == "3 taken up again.\n"
    assert command("outbox", "retry").code == 1


def test_a_dropped_move_is_undone_and_told(command: Command, keys: str, environment: Path) -> None:
    number = park(keys, environment, EffectKind.REGION_MOVE)
    before = len(rows(keys, environment, _CARDS))

    done = command("outbox", "drop", str(number))

    dropped, told = rows(keys, environment)[0], rows(keys, environment)[1]
    assert (done.code, done.out) == (0, "Dropped.\n")
    assert (dropped["failure"], dropped["payload"]) == ("refused: DROPPED", None)
    assert len(rows(keys, environment, _CARDS)) == before - 1
    assert told["kind"] == "SMS"
    entry = [
        row for row in rows(keys, environment, _ENTRIES) if row["action"] == "TRANSFER_REFUSED"
    ]
    assert [(row["result"], row["channel"]) for row in entry] == [("DROPPED", "WORKER")]
    assert command("outbox", "drop", str(number)).code == 1


def test_nothing_is_dropped_that_is_not_parked(
    command: Command, keys: str, environment: Path
) -> None:
    number = park(keys, environment, EffectKind.SMS)
    command("outbox", "retry", str(number))
    before = rows(keys, environment)

    done = command("outbox", "drop", str(number))

    assert (done.code, done.out) == (1, f"No parked effect has the number {number}.\n")
    assert rows(keys, environment) == before
