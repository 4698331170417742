"""Idempotency keys: a repeated request with the same key within 24 hours gets the first answer.

The outcome is stored together with its effect, encrypted and bound to the session. Of several
identical concurrent requests one is executed; the others lose the race for the key, and then find
its outcome. A different request with the same key is refused.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Column, LargeBinary, Table, bindparam, delete, select

from core.crypto import Vault
from core.db import Query, Reader, Writes, metadata
from core.kernel.callers import Caller
from core.kernel.clock import DAY, Instant
from core.kernel.refusals import IdempotencyKeyReused

RETENTION = DAY

idempotency_keys_table = Table(
    "idempotency_keys",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("session_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key_hash", LargeBinary, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("outcome", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_FIND = Query(
    select(idempotency_keys_table).where(
        idempotency_keys_table.c.subject_id == bindparam("subject_id"),
        idempotency_keys_table.c.session_id == bindparam("session_id"),
        idempotency_keys_table.c.key_hash == bindparam("key_hash"),
    )
)
_changed: dict[str, Any] = {
    name: bindparam(name) for name in ("request_hash", "outcome", "created_at")
}
_STORE = Query(
    lambda insert: (
        insert(idempotency_keys_table)
        .values({column.name: bindparam(column.name) for column in idempotency_keys_table.c})
        .on_conflict_do_update(
            index_elements=["subject_id", "session_id", "key_hash"],
            set_=_changed,
            where=idempotency_keys_table.c.created_at <= bindparam("expired"),
        )
    )
)
_FORGET = Query(
    delete(idempotency_keys_table).where(
        idempotency_keys_table.c.subject_id == bindparam("of_subject"),
        idempotency_keys_table.c.session_id == bindparam("of_session"),
        idempotency_keys_table.c.key_hash == bindparam("of_key"),
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
    db: Reader, vault: Vault, key: IdempotencyKey, caller: Caller, now: Instant
) -> bytes | None:
    """The committed outcome of this key, if any. Raises `IdempotencyKeyReused`."""
    row = await db.fetch_one(
        _FIND, subject_id=caller.subject_id, session_id=caller.session_id, key_hash=key.hash
    )
    if row is None or row["created_at"] + RETENTION <= now:
        return None
    if bytes(row["request_hash"]) != key.request:
        raise IdempotencyKeyReused
    sealed = bytes(row["outcome"])
    return vault.open_bytes(sealed, "idempotency_keys.outcome", caller.session_id)


def store_outcome(
    writes: Writes,
    vault: Vault,
    key: IdempotencyKey,
    caller: Caller,
    outcome: bytes,
    now: Instant,
) -> None:
    """Stores the outcome, unless a request with the same key has stored one first."""
    writes.guard(
        _STORE,
        subject_id=caller.subject_id,
        session_id=caller.session_id,
        key_hash=key.hash,
        request_hash=key.request,
        outcome=vault.seal(outcome, "idempotency_keys.outcome", caller.session_id),
        created_at=now,
        expired=now - RETENTION,
    )


def forget_outcome(writes: Writes, key: IdempotencyKey, caller: Caller) -> None:
    """A repeated request is then a new one."""
    writes.add(_FORGET, of_subject=caller.subject_id, of_session=caller.session_id, of_key=key.hash)
