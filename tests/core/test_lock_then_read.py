"""On PostgreSQL, a statement that locks one row reads its neighbours as they were before it waited.

So what depends on both is guarded when it is written: the other transaction is noticed then.
"""

import asyncio

import asyncpg
import pytest

from core.audit import verify
from core.cards import CardState
from core.db import Transaction
from core.imports.batch import KeyedLine, Written, write_batch
from core.imports.lines import CardLine
from sandbox.personas import PERSONAS
from tests.front_end import FrontEnd, World
from tests.services.parts import person_id

pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)

_LOCK_AND_READ = (
    "SELECT h.number FROM citizens c JOIN audit_heads h ON h.subject_id = c.subject_id"
    " WHERE c.subject_id = $1 FOR UPDATE OF c"
)
_LOCK = "SELECT 1 FROM citizens WHERE subject_id = $1 FOR UPDATE"
_READ = "SELECT number FROM audit_heads WHERE subject_id = $1"
_MOVE = "UPDATE audit_heads SET number = number + 1, version = version + 1 WHERE subject_id = $1"
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def until_it_waits(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    for _ in range(1_000):
        if await connection.fetchval(_WAITING):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("at_once", [True, False], ids=["in one statement", "in two statements"])
async def test_what_is_read_with_a_lock_is_from_before_the_wait(
    world: World, database_url: str, at_once: bool
) -> None:
    owner = await person_id(world, PERSONAS["active"])
    first, second = await asyncpg.connect(database_url), await asyncpg.connect(database_url)

    async def second_reads() -> int:
        async with second.transaction():
            if at_once:
                return int(await second.fetchval(_LOCK_AND_READ, owner))
            await second.execute(_LOCK, owner)
            return int(await second.fetchval(_READ, owner))

    try:
        before = int(await first.fetchval(_READ, owner))
        async with first.transaction():
            await first.execute(_LOCK, owner)
            reading = asyncio.create_task(second_reads())
            await until_it_waits(first)
            await first.execute(_MOVE, owner)
        seen = await reading
    finally:
        await first.close()
        await second.close()

    assert seen == (before if at_once else before + 1)


async def test_an_import_that_was_overtaken_writes_its_batch_again(
    world: World, active: FrontEnd, database_url: str
) -> None:
    """It has looked its citizen up, and waits to write; meanwhile the citizen changes something."""
    application, person = world.application, active.person
    dependencies = application.dependencies
    vault, tries = dependencies.vault, 0
    line = KeyedLine.of(card_of(person.name, person.social_security_number), vault)

    async def job(db: Transaction) -> Written:
        nonlocal tries
        tries += 1
        return await write_batch(db, vault, dependencies.seals, application.clock(), [line])

    blocking = await asyncpg.connect(database_url)
    try:
        async with blocking.transaction():
            await blocking.execute("LOCK TABLE cards IN EXCLUSIVE MODE")
            importing = asyncio.create_task(application.database.write(job))
            await until_it_waits(blocking)
            changed = await active.do("changeContact", residentialPostalCode="610000")
    finally:
        await blocking.close()
    written = await importing

    assert (changed["__typename"], written.added, tries) == ("ContactChanged", 1, 2)
    steps = [step async for step in verify.verify(application.database, dependencies.seals)]
    assert all(isinstance(step, int) for step in steps), steps


def card_of(name: str, number: str) -> CardLine:
    return CardLine(
        line=2,
        name=name,
        social_security_number=number,
        phone=None,
        card_number="SAMPLE777",
        state=CardState.CANCELLED,
        bank_code="SAMPLE-ICBC",
        issue_date="2020-01-01",
        batch_number=None,
        region_code="510100",
    )
