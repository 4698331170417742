"""Collected writes: all of them or none, in order, on both engines."""

import asyncio

import pytest
from sqlalchemy import select

from core.citizens import ClaimKind, claims, claims_table, quotas_table
from core.db import Database, LostRace, Query, Writes, insert_into
from core.db.writes import MAX_PARTS

ADD = insert_into(quotas_table)
KEYS = Query(select(quotas_table.c.key, quotas_table.c.last_at).order_by(quotas_table.c.key))


def add(writes: Writes, *keys: bytes, at: int = 1) -> None:
    for key in keys:
        writes.add(ADD, key=key, times="[]", last_at=at)


async def kept(db: Database) -> list[bytes]:
    return [bytes(row["key"]) for row in await db.fetch(KEYS)]


async def lose(db: Database, writes: Writes) -> None:
    before = await kept(db)
    with pytest.raises(LostRace):
        await db.apply(writes)
    assert await kept(db) == before


async def test_a_guard_that_changes_nothing_undoes_everything(db: Database) -> None:
    writes = Writes()
    add(writes, b"a", b"b")
    claims.release(writes, ClaimKind.PHONE, [b"nobody's"], 1)
    add(writes, b"c")

    await lose(db, writes)


async def test_a_key_that_is_taken_undoes_everything(db: Database) -> None:
    first = Writes()
    add(first, b"b")
    await db.apply(first)
    writes = Writes()
    add(writes, b"a", b"b", b"c")

    await lose(db, writes)


async def test_what_need_not_change_anything_undoes_nothing(db: Database) -> None:
    """The control."""
    writes = Writes()
    add(writes, b"a")
    claims.drop(writes, ClaimKind.PHONE, b"nobody's", 1)

    await db.apply(writes)

    assert await kept(db) == [b"a"]


async def test_a_named_guard_is_replaced_and_comes_first(db: Database) -> None:
    writes = Writes()
    add(writes, b"late")
    for key in (b"first", b"second"):
        writes.guard_first("name", ADD, key=key, times="[]", last_at=1)

    await db.apply(writes)

    assert await kept(db) == [b"late", b"second"]
    assert [write.values["key"] for write in writes] == [b"second", b"late"]


@pytest.mark.parametrize("count", [MAX_PARTS, MAX_PARTS + 1, 300])
async def test_however_many_they_are(db: Database, count: int) -> None:
    writes = Writes()
    add(writes, *(b"%03d" % number for number in range(count)))
    await db.apply(writes)
    assert len(await kept(db)) == count

    writes = Writes()
    add(writes, *(b"new%03d" % number for number in range(count)), b"000")
    await lose(db, writes)


async def test_a_claim_may_be_given_up_and_taken_in_one(db: Database) -> None:
    """In order: the key is free again when it is taken."""
    first = Writes()
    claims.take(first, ClaimKind.ACCOUNT, b"account", 1, 0)
    await db.apply(first)
    writes = Writes()
    claims.release(writes, ClaimKind.ACCOUNT, [b"account"], 1)
    claims.take(writes, ClaimKind.ACCOUNT, b"account", 2, 0)

    await db.apply(writes)

    assert await claims.owner(db, ClaimKind.ACCOUNT, [b"account"]) == 2
    of_kind = Query(select(claims_table).where(claims_table.c.kind == ClaimKind.ACCOUNT.value))
    assert len(await db.fetch(of_kind)) == 1


async def test_the_other_order_loses(db: Database) -> None:
    """The control."""
    first = Writes()
    claims.take(first, ClaimKind.ACCOUNT, b"account", 1, 0)
    await db.apply(first)
    writes = Writes()
    claims.take(writes, ClaimKind.ACCOUNT, b"account", 2, 0)
    claims.release(writes, ClaimKind.ACCOUNT, [b"account"], 1)

    await lose(db, writes)


async def test_losers_take_no_winners_with_them(db: Database) -> None:
    """On SQLite they share a commit, which is rolled back for each loser."""

    async def one(number: int) -> str:
        writes = Writes()
        add(writes, b"%02d" % number)
        if number % 3 == 0:
            claims.release(writes, ClaimKind.PHONE, [b"nobody's"], 1)
        try:
            await db.apply(writes)
        except LostRace:
            return "lost"
        return "kept"

    outcomes = await asyncio.gather(*(one(number) for number in range(30)))

    assert outcomes == ["lost" if number % 3 == 0 else "kept" for number in range(30)]
    assert await kept(db) == [b"%02d" % number for number in range(30) if number % 3]


async def test_of_many_who_take_one_claim_one_gets_it(db: Database) -> None:
    async def one(subject_id: int) -> bool:
        writes = Writes()
        claims.take(writes, ClaimKind.PHONE, b"phone", subject_id, 0)
        add(writes, b"%02d" % subject_id)
        try:
            await db.apply(writes)
        except LostRace:
            return False
        return True

    outcomes = await asyncio.gather(*(one(subject_id) for subject_id in range(1, 21)))

    assert sum(outcomes) == 1
    winner = await claims.owner(db, ClaimKind.PHONE, [b"phone"])
    assert winner is not None
    assert await kept(db) == [b"%02d" % winner]
