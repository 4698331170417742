"""`verify-audit`: whole chains pass, and each break is named."""

import asyncio

import pytest
from sqlalchemy import bindparam, delete, func, select, text, update

from core.audit import (
    audit_anchored_heads_table,
    audit_anchors_table,
    audit_entries_table,
    audit_heads_table,
)
from core.db import Query, Transaction, connect
from tests.cli.conftest import Command

_FIRST = Query(select(func.min(audit_heads_table.c.subject_id).label("subject_id")))
_COUNT = Query(select(func.count().label("persons")).select_from(audit_heads_table))
_OF = audit_entries_table.c.subject_id == bindparam("of_person")

BREAKS = {
    "entry 1: an entry was changed": Query(
        update(audit_entries_table).where(_OF).values(at=bindparam("to"))
    ),
    "entry 1: the end was cut off": Query(delete(audit_entries_table).where(_OF)),
    "entry 0: the chain has no head": Query(
        delete(audit_heads_table).where(audit_heads_table.c.subject_id == bindparam("of_person"))
    ),
}


async def persons(url: str) -> tuple[int, int]:
    database = await connect(url)
    try:
        first, count = await database.fetch_one(_FIRST), await database.fetch_one(_COUNT)
        assert first is not None
        assert count is not None
        return first["subject_id"], count["persons"]
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

    assert (done.code, done.out) == (
        0,
        f"{count} subjects checked, 0 broken chains.\nnewest anchor: none yet\n",
    )


@pytest.mark.parametrize(("what", "query"), list(BREAKS.items()))
def test_names_each_broken_chain(command: Command, keys: str, what: str, query: Query) -> None:
    person, count = asyncio.run(persons(keys))
    asyncio.run(run(keys, query, of_person=person, **({"to": 10**15} if "changed" in what else {})))

    done = command("verify-audit")

    checked = count - (1 if "no head" in what else 0)
    assert (done.code, done.out) == (
        1,
        f"subject {person}, {what}\n{checked} subjects checked, 1 broken chains.\nnewest anchor: none yet\n",
    )


def test_finds_every_chain_broken_under_other_keys(command: Command, keys: str) -> None:
    _, count = asyncio.run(persons(keys))

    done = command("verify-audit", audit_keys="test:" + "A" * 43 + "=")

    assert done.code == 1
    assert done.out.endswith(
        f"{count} subjects checked, {count} broken chains.\nnewest anchor: none yet\n"
    )


def test_prints_the_newest_anchor_and_finds_one_that_was_kept(command: Command, keys: str) -> None:
    kept = command("anchor-audit").out.strip()
    again = command("anchor-audit").out.strip()

    done = command("verify-audit", "--anchor", kept)

    assert again == kept
    assert done.code == 0
    assert done.out.endswith(f"newest anchor: {kept}\n")


def test_finds_that_a_kept_anchor_is_gone(command: Command, keys: str) -> None:
    """Whoever can write the database can remove the anchors: only the copy outside tells."""
    kept = command("anchor-audit").out.strip()
    for query in REMOVE_ANCHORS:
        asyncio.run(run(keys, query))

    alone, compared = command("verify-audit"), command("verify-audit", "--anchor", kept)

    assert alone.code == 0
    assert compared.code == 1
    assert "anchor 1: the external anchor is missing\n" in compared.out


REMOVE_ANCHORS = (
    Query(delete(audit_anchors_table)),
    Query(delete(audit_anchored_heads_table)),
    Query(update(audit_heads_table).values(anchored_number=text("0"))),
)
