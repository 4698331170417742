"""`verify-audit`: whole chains pass, and each break is named."""

import asyncio

import pytest
from sqlalchemy import bindparam, delete, func, select, update

from core.audit import audit_entries, audit_heads
from core.database import Query, Transaction, connect
from tests.cli.conftest import Command

_FIRST = Query(select(func.min(audit_heads.c.person).label("person")))
_COUNT = Query(select(func.count().label("persons")).select_from(audit_heads))
_OF = audit_entries.c.person == bindparam("of_person")

BREAKS = {
    "entry 1: an entry was changed": Query(
        update(audit_entries).where(_OF).values(at=bindparam("to"))
    ),
    "entry 1: the end was cut off": Query(delete(audit_entries).where(_OF)),
    "entry 0: the chain has no head": Query(
        delete(audit_heads).where(audit_heads.c.person == bindparam("of_person"))
    ),
}


async def persons(url: str) -> tuple[int, int]:
    database = await connect(url)
    try:
        first, count = await database.fetch_one(_FIRST), await database.fetch_one(_COUNT)
        assert first is not None
        assert count is not None
        return first["person"], count["persons"]
    finally:
        await database.close()


async def run(url: str, query: Query, **values: int) -> None:
    async def job(db: Transaction) -> None:
        await db.fetch(query, **values)

    database = await connect(url)
    try:
        await database.write(job)
    finally:
        await database.close()


def test_says_how_many_persons_were_checked(command: Command, keys: str) -> None:
    _, count = asyncio.run(persons(keys))

    done = command("verify-audit")

    assert (done.code, done.out) == (0, f"{count} persons checked, 0 broken chains.\n")


@pytest.mark.parametrize(("what", "query"), list(BREAKS.items()))
def test_names_each_broken_chain(command: Command, keys: str, what: str, query: Query) -> None:
    person, count = asyncio.run(persons(keys))
    asyncio.run(run(keys, query, of_person=person, **({"to": 1} if "changed" in what else {})))

    done = command("verify-audit")

    checked = count - (1 if "no head" in what else 0)
    assert (done.code, done.out) == (
        1,
        f"person {person}, {what}\n{checked} persons checked, 1 broken chains.\n",
    )


def test_finds_every_chain_broken_under_other_keys(command: Command, keys: str) -> None:
    _, count = asyncio.run(persons(keys))

    done = command("verify-audit", audit_keys="test:" + "A" * 43 + "=")

    assert done.code == 1
    assert done.out.endswith(f"{count} persons checked, {count} broken chains.\n")
