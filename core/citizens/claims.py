"""Claims: what may exist only once in the whole city, each with the subject to whom it belongs.

All other tables are keyed by subject first, so that they can be split by person; no key of theirs can
be unique across persons. A claim is taken in the same unit of work as the row that it stands for, and
leads from a number to the one person whose rows must be read.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    select,
    update,
)

from core.crypto import MAX_KEYS, index_is, index_params
from core.db import Query, Reader, Transaction, Writes, fetch_in, in_batch, insert_into, metadata
from core.kernel.clock import Instant

claims_table = Table(
    "claims",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("kind", String(24), primary_key=True),
    Column("subject_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


class ClaimKind(StrEnum):
    """What a key is: a blind index for the first four, the bytes of an id or their hash for the others."""

    SOCIAL_SECURITY_NUMBER = "SOCIAL_SECURITY_NUMBER"
    PHONE = "PHONE"
    CARD = "CARD"
    ACCOUNT = "ACCOUNT"
    APPLICATION = "APPLICATION"
    ISSUER_EVENT = "ISSUER_EVENT"
    CHANNEL_MESSAGE = "CHANNEL_MESSAGE"


_FIND = Query(
    select(claims_table.c.subject_id).where(
        index_is(claims_table.c.key, "key"), claims_table.c.kind == bindparam("kind")
    )
)
_KINDS_AT_ONCE = 3
_FIND_ANY = Query(
    select(claims_table.c.key, claims_table.c.kind, claims_table.c.subject_id).where(
        in_batch(claims_table.c.key, _KINDS_AT_ONCE * MAX_KEYS)
    )
)
_FIND_MANY = Query(
    select(claims_table.c.key, claims_table.c.subject_id).where(
        in_batch(claims_table.c.key), claims_table.c.kind == bindparam("kind")
    )
)
TAKE = insert_into(claims_table)
TAKE_IF_FREE = Query(
    lambda insert: (
        insert(claims_table)
        .values({column.name: bindparam(column.name) for column in claims_table.c})
        .on_conflict_do_nothing(index_elements=["key", "kind"])
    )
)
_DROP = Query(
    delete(claims_table).where(
        claims_table.c.key == bindparam("of_key"),
        claims_table.c.kind == bindparam("of_kind"),
        claims_table.c.subject_id == bindparam("of_subject"),
    )
)
_KEEP = Query(
    update(claims_table)
    .where(
        index_is(claims_table.c.key, "key"),
        claims_table.c.kind == bindparam("of_kind"),
        claims_table.c.subject_id == bindparam("of_subject"),
    )
    .values(at=claims_table.c.at)
)
_RELEASE = Query(
    delete(claims_table).where(
        index_is(claims_table.c.key, "key"),
        claims_table.c.kind == bindparam("of_kind"),
        claims_table.c.subject_id == bindparam("of_subject"),
    )
)


def take(writes: Writes, kind: ClaimKind, key: bytes, subject_id: int, now: Instant) -> None:
    """If somebody has the claim already, the unit of work loses its race."""
    writes.add(TAKE, **row(kind, key, subject_id, now))


def row(kind: ClaimKind, key: bytes, subject_id: int, now: Instant) -> Mapping[str, Any]:
    """The parameters of `TAKE`."""
    return {"key": key, "kind": kind.value, "subject_id": subject_id, "at": now}


def release(writes: Writes, kind: ClaimKind, keys: list[bytes], subject_id: int) -> None:
    """`keys` are the indexes of one value under each key in use. If the subject does not have the claim
    any more, the unit of work loses its race."""
    writes.guard(_RELEASE, of_kind=kind.value, of_subject=subject_id, **index_params("key", keys))


def keep(writes: Writes, kind: ClaimKind, keys: list[bytes], subject_id: int) -> None:
    """Guards what rests on the subject's having the claim: as `release`, but it stays."""
    writes.guard(_KEEP, of_kind=kind.value, of_subject=subject_id, **index_params("key", keys))


def drop(writes: Writes, kind: ClaimKind, key: bytes, subject_id: int) -> None:
    """As `release`, of a claim that may be gone already."""
    writes.add(_DROP, of_key=key, of_kind=kind.value, of_subject=subject_id)


async def drop_many(db: Transaction, claimed: Iterable[tuple[int, ClaimKind, bytes]]) -> None:
    """As `drop`, for claims of many subjects whose rows are deleted in the same transaction."""
    rows = [
        {"of_subject": subject_id, "of_kind": kind.value, "of_key": key}
        for subject_id, kind, key in claimed
    ]
    await db.execute_many(_DROP, rows)


async def find(db: Reader, keys: Mapping[ClaimKind, Sequence[bytes]]) -> dict[ClaimKind, int]:
    """Whose each of several values is, in one statement; at most `_KINDS_AT_ONCE`. A kind whose value
    nobody has is left out."""
    every = [key for of_kind in keys.values() for key in of_kind]
    rows = await fetch_in(db, _FIND_ANY, every, _KINDS_AT_ONCE * MAX_KEYS)
    return {
        ClaimKind(found["kind"]): found["subject_id"]
        for found in rows
        if bytes(found["key"]) in keys.get(ClaimKind(found["kind"]), ())
    }


async def owner(db: Reader, kind: ClaimKind, keys: list[bytes]) -> int | None:
    """Whose it is. `keys` are the indexes of one value under each key in use."""
    found = await db.fetch_one(_FIND, kind=kind.value, **index_params("key", keys))
    return None if found is None else int(found["subject_id"])


async def owners(db: Reader, kind: ClaimKind, keys: Iterable[bytes]) -> dict[bytes, int]:
    """Subjects by key; keys that nobody has are left out."""
    rows = await fetch_in(db, _FIND_MANY, keys, kind=kind.value)
    return {bytes(found["key"]): found["subject_id"] for found in rows}


def card_keys(region_code: str, number_indexes: Sequence[bytes]) -> list[bytes]:
    """A card's number is unique in its region."""
    return [index + region_code.encode() for index in number_indexes]


def text_key(text: str) -> bytes:
    """Of an id that a partner or a platform has given, however long."""
    return hashlib.sha256(text.encode()).digest()
