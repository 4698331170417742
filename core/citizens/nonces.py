"""Single-use values: sign-in states, callback nonces, ids of messages that a platform may repeat."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, String, Table, bindparam, delete, select

from core.db import Query, Reader, Transaction, metadata
from core.kernel.clock import DAY, Instant

nonces_table = Table(
    "nonces",
    metadata,
    Column("scope", String(32), primary_key=True),
    Column("nonce", String(128), primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

RETENTION = 2 * DAY
"""How long after expiry a nonce is kept, so that a clock that ran a day ahead deletes none early."""

_USE = Query(
    lambda insert: (
        insert(nonces_table)
        .values(scope=bindparam("scope"), nonce=bindparam("nonce"), expires_at=bindparam("until"))
        .on_conflict_do_nothing(index_elements=["scope", "nonce"])
        .returning(nonces_table.c.nonce)
    )
)
_FIND = Query(
    select(nonces_table.c.nonce).where(
        nonces_table.c.scope == bindparam("scope"), nonces_table.c.nonce == bindparam("nonce")
    )
)
FORGET_OLD = Query(delete(nonces_table).where(nonces_table.c.expires_at < bindparam("before")))


async def use(db: Transaction, scope: str, nonce: str, until: Instant) -> bool:
    """False if it was used before. `until` is when it becomes invalid anyway."""
    return await db.fetch_one(_USE, scope=scope, nonce=nonce, until=until) is not None


async def use_index(db: Transaction, scope: str, indexes: Sequence[bytes], until: Instant) -> bool:
    """As `use` for a keyed index; checks the indexes under older keys too."""
    current, *older = (index.hex() for index in indexes)
    for index in older:
        if await is_used(db, scope, index):
            return False
    return await use(db, scope, current, until)


async def is_used(db: Reader, scope: str, nonce: str) -> bool:
    return await db.fetch_one(_FIND, scope=scope, nonce=nonce) is not None
