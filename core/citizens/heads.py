"""The head of each subject's audit chain, which is also the version of all that subject's data.

Whoever changes a subject's data has read this row before, and moves it on with the change: if others
did so first, nothing is written (optimistic locking). A subject is a citizen, or a session before its
citizen is known.
"""

from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    Label,
    LargeBinary,
    Table,
    bindparam,
    select,
    update,
)

from core.db import Id, Query, Reader, Row, Writes, insert_into, metadata

audit_heads_table = Table(
    "audit_heads",
    metadata,
    Column("subject_id", Id, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("anchored_number", Integer, nullable=False, server_default="0"),
)

_OF_SUBJECT = Query(
    select(audit_heads_table.c.number, audit_heads_table.c.mac, audit_heads_table.c.version).where(
        audit_heads_table.c.subject_id == bindparam("subject_id")
    )
)
_ADD = insert_into(audit_heads_table, "subject_id", "number", "mac", "version")
_MOVE = Query(
    update(audit_heads_table)
    .where(
        audit_heads_table.c.subject_id == bindparam("of_subject"),
        audit_heads_table.c.version == bindparam("seen_version"),
    )
    .values(
        number=bindparam("new_number"),
        mac=bindparam("new_mac"),
        version=bindparam("new_version"),
    )
)


class Head(NamedTuple):
    """Number and MAC of the newest audit entry; `version` counts the subject's changes."""

    number: int
    mac: bytes
    version: int


NO_HEAD = Head(0, b"", 0)
"""Of a subject about whom nothing has been written yet."""


def columns() -> list[Label[Any]]:
    """The columns for `head_from`."""
    return [audit_heads_table.c[name].label(f"head_{name}") for name in Head._fields]


def head_from(row: Row) -> Head:
    if row["head_version"] is None:
        return NO_HEAD
    return Head(row["head_number"], bytes(row["head_mac"]), row["head_version"])


async def find(db: Reader, subject_id: int) -> Head:
    row = await db.fetch_one(_OF_SUBJECT, subject_id=subject_id)
    return Head(row["number"], bytes(row["mac"]), row["version"]) if row else NO_HEAD


def move(writes: Writes, subject_id: int, head: Head) -> None:
    """Moves a head on. `head.version` is the one that was read: others must not have moved it since."""
    name = ("head", subject_id)
    if head.version == NO_HEAD.version:
        writes.guard_first(
            name, _ADD, subject_id=subject_id, number=head.number, mac=head.mac, version=1
        )
    else:
        writes.guard_first(
            name,
            _MOVE,
            of_subject=subject_id,
            seen_version=head.version,
            new_number=head.number,
            new_mac=head.mac,
            new_version=head.version + 1,
        )
