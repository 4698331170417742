"""Idempotency keys: the same key and request within 24 hours gets the first answer again.

The first outcome is stored in the transaction of its effect, sealed, and bound to the
session that sent it. The key is taken before the effect, so that of the same request sent
several times at once one acts and the others wait for it. Another request under the same
key is refused.
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

KEPT_FOR = DAY

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

_ours = and_(
    idempotency_keys_table.c.session_id == bindparam("of_session"),
    idempotency_keys_table.c.key_hash == bindparam("of_key"),
)
_FIND = Query(select(idempotency_keys_table).where(_ours))
_TAKE = Query(
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
_REMEMBER = Query(
    update(idempotency_keys_table)
    .where(_ours)
    .values(
        request_hash=bindparam("request"), outcome=bindparam("first"), created_at=bindparam("at")
    )
)
FORGET_OLD = Query(
    delete(idempotency_keys_table).where(idempotency_keys_table.c.created_at < bindparam("before"))
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
    """What is committed already."""
    row = await db.fetch_one(_FIND, of_session=session_id, of_key=key.hash)
    return _outcome_of(row, vault, key, session_id, now)


async def take(
    db: Transaction, vault: Vault, key: IdempotencyKey, session_id: int, now: Instant
) -> bytes | None:
    """As `first_outcome`; where there is none, the same request waits until this one is done."""
    row = await db.fetch_one(
        _TAKE, of_session=session_id, of_key=key.hash, request=key.request, at=now
    )
    return _outcome_of(row, vault, key, session_id, now)


async def remember(
    db: Transaction,
    vault: Vault,
    key: IdempotencyKey,
    session_id: int,
    outcome: bytes,
    now: Instant,
) -> None:
    """For a key that was taken in the same transaction."""
    await db.fetch(
        _REMEMBER,
        of_session=session_id,
        of_key=key.hash,
        request=key.request,
        first=vault.seal(outcome, "idempotency_keys.outcome", session_id),
        at=now,
    )


def _outcome_of(
    row: Row | None, vault: Vault, key: IdempotencyKey, session_id: int, now: Instant
) -> bytes | None:
    if row is None or not row["outcome"] or row["created_at"] + KEPT_FOR <= now:
        return None
    if bytes(row["request_hash"]) != key.request:
        raise IdempotencyKeyReused
    return vault.open_bytes(bytes(row["outcome"]), "idempotency_keys.outcome", session_id)
