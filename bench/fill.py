"""Fills a database for the benchmark: imported cards, and sessions for some of their holders.

A database that has the cards already is not filled again. On PostgreSQL, more than are imported in a
few minutes are multiplied (`bench.multiply`). The holders with sessions also get an application with
its order and nodes, and verification codes for reporting and for cancelling a loss.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from sqlalchemy import func, select, text

from bench import records
from bench.multiply import multiply
from bench.people import BATCHES, write_people
from bench.server import Server
from core.applications import applications
from core.cards import CardState, cards_table
from core.citizens import citizens
from core.db import Database, LostRace, Query, Row, Writes, connect, insert_into
from core.kernel.clock import HOUR
from core.kernel.ids import new_id
from core.messaging import VerificationPurpose, verification_codes_table
from gateway.app import keys_from

MAX_PEOPLE = 30_000
CODE = "246810"
_IMPORTED = 200_000
_AT_ONCE = 500
_PEOPLE = Query(
    select(
        citizens.citizens_table.c.subject_id,
        citizens.citizens_table.c.phone,
        cards_table.c.id.label("card_id"),
        cards_table.c.number,
        cards_table.c.bank_code,
    )
    .join_from(
        citizens.citizens_table,
        cards_table,
        cards_table.c.subject_id == citizens.citizens_table.c.subject_id,
    )
    .where(
        cards_table.c.batch_number.startswith(BATCHES),
        cards_table.c.state == CardState.ACTIVE.value,
    )
    .order_by(func.random())
    .limit(MAX_PEOPLE)
)
_CARDS = Query(select(func.count().label("cards")).select_from(cards_table))
_VACUUM = Query(text("VACUUM (ANALYZE)"))
_INSERT_CODE = insert_into(verification_codes_table)


@dataclass(frozen=True, slots=True)
class Person:
    """What a citizen's front-end knows."""

    token: str
    phone: str
    card_number: str


def fill(server: Server, count: int) -> list[Person]:
    """For citizens spread over the whole table."""
    server.start()  # the sandbox adds its personas only before others are there
    server.stop()
    return asyncio.run(_fill(server, count))


async def _fill(server: Server, count: int) -> list[Person]:
    settings = server.settings()
    database = await connect(settings.database_url, settings.database_limits.patient())
    try:
        (found,) = await database.fetch(_CARDS)
        if found["cards"] < count:
            await _add(server, count, multiplied=database.dialect.name == "postgresql")
        return await _prepare(server, database)
    finally:
        await database.close()


async def _add(server: Server, count: int, *, multiplied: bool) -> None:
    imported = min(count, _IMPORTED) if multiplied else count
    file = write_people(server.folder / "cards.csv", imported)
    print(
        f"  {server.command('import-cards', '--operator', 'bench', str(file), '--sandbox')}",
        flush=True,
    )
    file.unlink()
    if imported < count:
        vault, now = keys_from(server.settings()).vault, time.time_ns() // 1_000_000
        await multiply(
            server.database_url, vault, imported=imported, cards=count, persons=MAX_PEOPLE, now=now
        )


async def _prepare(server: Server, database: Database) -> list[Person]:
    chosen = await database.fetch(_PEOPLE)
    people: list[Person] = []
    for first in range(0, len(chosen), _AT_ONCE):
        people += await _written(server, database, chosen[first : first + _AT_ONCE])
    if database.dialect.name == "postgresql":
        await database.fetch(_VACUUM)  # its maintenance jobs would disturb the measurement
    return people


async def _written(server: Server, database: Database, rows: list[Row]) -> list[Person]:
    """Two of so many random application numbers of one day may be equal: then with others."""
    while True:
        with contextlib.suppress(LostRace):
            return await _write(server, database, rows)


async def _write(server: Server, database: Database, rows: list[Row]) -> list[Person]:
    settings = server.settings()
    vault, seals = keys_from(settings).vault, keys_from(settings).seals
    now = time.time_ns() // 1_000_000

    writes, closing = Writes(), Writes()

    def one(row: Row) -> Person:
        person = row["subject_id"]
        phone = vault.open(bytes(row["phone"]), f"citizens.{citizens.PHONE}", person)
        session = records.sign_in(writes, vault, now, person, 12 * HOUR)
        records.apply(writes, vault, now, person, row["bank_code"], "SAMPLE")
        applications.close(closing, person, now)
        for purpose in (VerificationPurpose.REPORT_LOSS, VerificationPurpose.CANCEL_LOSS):
            code_id = new_id(now)
            writes.add(
                _INSERT_CODE,
                subject_id=person,
                id=code_id,
                session_id=session.id,
                phone_index=vault.index(phone, citizens.PHONE),
                purpose=purpose.value,
                mac=seals.code(code_id, phone, CODE),
                expires_at=now + 12 * HOUR,
                tries=0,
                consumed_at=None,
            )
        number = vault.open(bytes(row["number"]), "cards.number", row["card_id"])
        return Person(session.token, phone, number)

    prepared = [one(row) for row in rows]
    await database.apply(writes)
    await database.apply(closing)
    return prepared
