"""SQLite's writer: collected writes that wait together are executed together."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import select

from core.citizens import NO_HEAD, ClaimKind, Head, claims, heads
from core.citizens.heads import audit_heads_table
from core.db import LostRace, Query, Transaction, Writes
from core.db.sqlite import SqliteDatabase
from tests.core.test_database import INSERT, INSERT_JOB, keys, statements_of

VERSIONS = Query(
    select(audit_heads_table.c.subject_id, audit_heads_table.c.version)
    .where(audit_heads_table.c.subject_id <= 40)
    .order_by(audit_heads_table.c.subject_id)
)
SUBJECTS = range(21, 41)
"""No one else's ids: not those of the lanes either."""
SEEN = Head(1, b"mac", 1)


def change(subject_id: int, head: Head) -> Writes:
    writes = Writes()
    heads.move(writes, subject_id, head)
    writes.add(INSERT, key=b"%02d" % subject_id, times="[]", last_at=1)
    return writes


async def apply_all(db: SqliteDatabase, several: Sequence[Writes]) -> list[str]:
    outcomes = await asyncio.gather(
        *(db.apply(writes) for writes in several), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} <= {type(None), LostRace}
    return ["lost" if outcome else "kept" for outcome in outcomes]


async def versions(db: SqliteDatabase) -> list[int]:
    return [row["version"] for row in await db.fetch(VERSIONS)]


@pytest.fixture
async def with_heads(sqlite: SqliteDatabase) -> SqliteDatabase:
    for subject_id in SUBJECTS:
        writes = Writes()
        heads.move(writes, subject_id, NO_HEAD)
        await sqlite.apply(writes)
    return sqlite


async def test_each_statement_is_prepared_once_for_all_that_wait(
    with_heads: SqliteDatabase,
) -> None:
    async with statements_of(with_heads) as seen:
        outcomes = await apply_all(with_heads, [change(subject, SEEN) for subject in SUBJECTS])

    assert outcomes == ["kept"] * len(SUBJECTS)
    assert [text.split()[0] for text in seen[:1] + seen[-1:]] == ["BEGIN", "COMMIT"]
    assert seen.count("COMMIT") == 1
    assert not any("SAVEPOINT" in text for text in seen)
    written = [text.split()[0] for text in seen[1:-1]]
    assert written == ["UPDATE"] * len(SUBJECTS) + ["INSERT"] * len(SUBJECTS)


async def test_of_those_written_together_only_the_overtaken_lose(
    with_heads: SqliteDatabase,
) -> None:
    overtaken = {23, 24, 40}
    several = [
        change(subject, SEEN._replace(version=2) if subject in overtaken else SEEN)
        for subject in SUBJECTS
    ]

    outcomes = await apply_all(with_heads, several)

    assert outcomes == ["lost" if subject in overtaken else "kept" for subject in SUBJECTS]
    assert await versions(with_heads) == [1 if each in overtaken else 2 for each in SUBJECTS]
    assert await keys(with_heads) == [f"{each:02}" for each in SUBJECTS if each not in overtaken]


async def test_of_two_changes_of_one_person_one_is_written(with_heads: SqliteDatabase) -> None:
    outcomes = await apply_all(with_heads, [change(27, SEEN), change(28, SEEN), change(27, SEEN)])

    assert outcomes == ["kept", "kept", "lost"]
    assert await keys(with_heads) == ["27", "28"]


async def test_a_guard_of_several_rows_covers_for_nobody(sqlite: SqliteDatabase) -> None:
    """One releases two claims, the other none: together as many as they are."""
    first = Writes()
    both = [b"under one key", b"under another"]
    for key in both:
        claims.take(first, ClaimKind.PHONE, key, 1, 0)
    await sqlite.apply(first)
    rich, poor = Writes(), Writes()
    claims.release(rich, ClaimKind.PHONE, both, 1)
    claims.release(poor, ClaimKind.PHONE, [b"nobody's"], 2)

    assert await apply_all(sqlite, [rich, poor]) == ["kept", "lost"]
    assert await claims.owners(sqlite, ClaimKind.PHONE, both) == {}


async def test_jobs_and_writes_share_a_commit(with_heads: SqliteDatabase) -> None:
    async def job(transaction: Transaction) -> int:
        await transaction.fetch(INSERT, key=b"job", times="[]", last_at=1)
        return 4711

    async with statements_of(with_heads) as seen:
        first, result, second = await asyncio.gather(
            with_heads.apply(change(21, SEEN)),
            with_heads.write(job),
            with_heads.apply(change(22, SEEN)),
        )

    assert (first, result, second) == (None, 4711, None)
    assert seen.count("COMMIT") == 1
    assert await keys(with_heads) == ["21", "22", "job"]


async def test_an_error_among_them_is_told_to_its_own(with_heads: SqliteDatabase) -> None:
    several = [change(subject, SEEN) for subject in (21, 22, 23)]
    for writes, name in zip(several, ("a", "b" * 33, "c"), strict=True):
        writes.add(INSERT_JOB, name=name, due_at=1, leased_until=0)

    outcomes = await asyncio.gather(
        *(with_heads.apply(writes) for writes in several), return_exceptions=True
    )

    assert [type(outcome).__name__ for outcome in outcomes] == [
        "NoneType",
        "IntegrityError",
        "NoneType",
    ]
    assert await keys(with_heads) == ["21", "23"]
