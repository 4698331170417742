"""Idempotency keys: the same key and request within 24 hours gets the first answer again.

The first outcome is stored in the transaction of its effect, sealed, and bound to the
session that sent it. Another request under the same key is refused.
"""

import hashlib
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, Column, LargeBinary, Table, bindparam, delete, select

from core.clock import DAY, Instant
from core.database import Query, Reader, Transaction, insert_into, metadata
from core.encryption import Vault
from core.errors import IdempotencyKeyReused

KEPT_FOR = DAY

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("session_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key_hash", LargeBinary, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("outcome", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_FIND = Query(
    select(idempotency_keys).where(
        idempotency_keys.c.session_id == bindparam("session_id"),
        idempotency_keys.c.key_hash == bindparam("key_hash"),
    )
)
_INSERT = insert_into(idempotency_keys)
_FORGET = Query(
    delete(idempotency_keys).where(
        idempotency_keys.c.session_id == bindparam("session_id"),
        idempotency_keys.c.key_hash == bindparam("key_hash"),
    )
)
FORGET_OLD = Query(
    delete(idempotency_keys).where(idempotency_keys.c.created_at < bindparam("before"))
)


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The client's key and a digest of the whole request that it came with."""

    key: str = field(repr=False)
    request: bytes = field(repr=False)

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(self.key.encode()).digest()


async def first_outcome(
    db: Reader, vault: Vault, key: IdempotencyKey, session_id: int, now: Instant
) -> bytes | None:
    row = await db.fetch_one(_FIND, session_id=session_id, key_hash=key.hash)
    if row is None or row["created_at"] + KEPT_FOR <= now:
        return None
    if bytes(row["request_hash"]) != key.request:
        raise IdempotencyKeyReused
    return vault.open_bytes(bytes(row["outcome"]), "idempotency_keys.outcome", session_id)


async def remember(
    db: Transaction,
    vault: Vault,
    key: IdempotencyKey,
    session_id: int,
    outcome: bytes,
    now: Instant,
) -> None:
    await db.fetch(_FORGET, session_id=session_id, key_hash=key.hash)
    await db.fetch(
        _INSERT,
        session_id=session_id,
        key_hash=key.hash,
        request_hash=key.request,
        outcome=vault.seal(outcome, "idempotency_keys.outcome", session_id),
        created_at=now,
    )
