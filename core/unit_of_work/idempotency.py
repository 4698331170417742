"""Idempotency keys: a repeated request with the same key within 24 hours gets the first answer.

The outcome is stored in the transaction of its effect, encrypted and bound to the session. The key
is reserved before the effect: of several identical concurrent requests one is executed and the others
wait for its outcome. A different request with the same key is refused.
"""

import hashlib
from dataclasses import dataclass, field

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    Table,
    and_,
    bindparam,
    delete,
    select,
    update,
)

from core.crypto import Vault
from core.db import Query, Reader, Row, Transaction, metadata
from core.kernel.clock import DAY, Instant
from core.kernel.refusals import IdempotencyKeyReused

RETENTION = DAY

idempotency_keys_table = Table(
    "idempotency_keys",
    metadata,
    Column("session_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key_hash", LargeBinary, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("outcome", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_same_key = and_(
    idempotency_keys_table.c.session_id == bindparam("of_session"),
    idempotency_keys_table.c.key_hash == bindparam("of_key"),
)
_FIND = Query(select(idempotency_keys_table).where(_same_key))
_RESERVE = Query(
    lambda insert: (
        insert(idempotency_keys_table)
        .values(
            session_id=bindparam("of_session"),
            key_hash=bindparam("of_key"),
            request_hash=bindparam("request"),
            outcome=b"",
            created_at=bindparam("at"),
        )
        .on_conflict_do_update(
            index_elements=["session_id", "key_hash"],
            set_={"created_at": idempotency_keys_table.c.created_at},
        )
        .returning(*idempotency_keys_table.c)
    )
)
_STORE = Query(
    update(idempotency_keys_table)
    .where(_same_key)
    .values(
        request_hash=bindparam("request"), outcome=bindparam("first"), created_at=bindparam("at")
    )
)
DELETE_OLD = Query(
    delete(idempotency_keys_table).where(idempotency_keys_table.c.created_at < bindparam("before"))
)


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The client's key, and a digest of the complete request."""

    key: str = field(repr=False)
    request: bytes = field(repr=False)

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(self.key.encode()).digest()


async def find_outcome(
    db: Reader, vault: Vault, key: IdempotencyKey, session_id: int, now: Instant
) -> bytes | None:
    """The committed outcome of this key, if any. Raises `IdempotencyKeyReused`."""
    row = await db.fetch_one(_FIND, of_session=session_id, of_key=key.hash)
    return _outcome_of(row, vault, key, session_id, now)


async def reserve(
    db: Transaction, vault: Vault, key: IdempotencyKey, session_id: int, now: Instant
) -> bytes | None:
    """As `find_outcome`; without an outcome, it locks the key's row until the transaction ends."""
    row = await db.fetch_one(
        _RESERVE, of_session=session_id, of_key=key.hash, request=key.request, at=now
    )
    return _outcome_of(row, vault, key, session_id, now)


async def store_outcome(
    db: Transaction,
    vault: Vault,
    key: IdempotencyKey,
    session_id: int,
    outcome: bytes,
    now: Instant,
) -> None:
    """Stores the outcome of a key that was reserved in the same transaction."""
    await db.fetch(
        _STORE,
        of_session=session_id,
        of_key=key.hash,
        request=key.request,
        first=vault.seal(outcome, "idempotency_keys.outcome", session_id),
        at=now,
    )


def _outcome_of(
    row: Row | None, vault: Vault, key: IdempotencyKey, session_id: int, now: Instant
) -> bytes | None:
    if row is None or not row["outcome"] or row["created_at"] + RETENTION <= now:
        return None
    if bytes(row["request_hash"]) != key.request:
        raise IdempotencyKeyReused
    return vault.open_bytes(bytes(row["outcome"]), "idempotency_keys.outcome", session_id)
