"""Fills a new database with fictitious citizens: with a card, or with one of another city."""

import asyncio
import time

import httpx

from bench import people as invented
from bench import records
from core.cards import CHENGDU, CardState, cards
from core.citizens import citizens
from core.db import Writes, connect
from core.kernel.clock import DAY
from gateway.app import keys_from
from tests.soak.faults.citizens import Citizen
from tests.soak.faults.outside import World

_BANK = "SAMPLE-ICBC"
_ELSEWHERE = {"regionCode": "510700", "regionName": "绵阳市"}


async def settle(world: World, with_card: int, movers: int) -> list[Citizen]:
    """Migrates, starts partner and server, and returns all citizens with a session.

    The sandbox adds its personas only before others are there, so it is started once before.
    """
    await asyncio.to_thread(world.server.start)
    await asyncio.to_thread(world.server.stop)
    await asyncio.to_thread(world.open)
    people = await _register(world, with_card, movers)
    async with httpx.AsyncClient(base_url=world.partner_url, trust_env=False) as partner:
        for citizen in people:
            if citizen.elsewhere is not None:
                (await partner.post("/cards", json=_card_of(citizen))).raise_for_status()
    await asyncio.to_thread(world.start)
    return people


async def _register(world: World, with_card: int, movers: int) -> list[Citizen]:
    settings = world.server.settings()
    vault, now = keys_from(settings).vault, time.time_ns() // 1_000_000
    database = await connect(settings.database_url, settings.database_limits.patient())

    writes, found = Writes(), []
    for place, row in enumerate(invented.people(with_card + movers)):
        name, number, phone, card = row[:4]
        person = citizens.register(writes, vault, now, name=name, number=number, phone=phone).id
        moves = place >= with_card
        if not moves:
            cards.issue(
                writes,
                vault,
                now,
                citizen_id=person,
                number=card,
                region_code=CHENGDU,
                bank_code=_BANK,
                batch_number=None,
                issue_date="2024-03-15",
                state=CardState.ACTIVE,
            )
        session = records.sign_in(writes, vault, now, person, DAY)
        found.append(
            Citizen(
                person,
                number,
                phone,
                {"Authorization": f"Bearer {session.token}"},
                card="" if moves else card,
                elsewhere=card if moves else None,
            )
        )
    try:
        await database.apply(writes)
    finally:
        await database.close()
    return found


def _card_of(citizen: Citizen) -> dict[str, str | None]:
    return {
        "socialSecurityNumber": citizen.number,
        "cardNumber": citizen.elsewhere,
        "state": CardState.ACTIVE.value,
        "bankCode": _BANK,
        "bankName": "中国工商银行",
        "issueDate": "2020-01-01",
        **_ELSEWHERE,
    }
