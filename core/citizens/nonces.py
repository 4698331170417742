"""Single-use values: sign-in states, callback nonces, ids of messages that a platform may repeat."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, String, Table, and_, bindparam, delete, or_, select

from core.crypto import index_is, index_params
from core.db import Query, Reader, Writes, insert_into, metadata
from core.kernel.clock import DAY, Instant

nonces_table = Table(
    "nonces",
    metadata,
    Column("nonce", String(128), primary_key=True),
    Column("scope", String(32), primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

RETENTION = 2 * DAY
"""How long after expiry a nonce is kept, so that a clock that ran a day ahead deletes none early."""

_USE = insert_into(nonces_table)
_FIND = Query(
    select(nonces_table.c.nonce).where(
        nonces_table.c.scope == bindparam("scope"), index_is(nonces_table.c.nonce, "nonce")
    )
)
_AT_ONCE = 3
_FIND_SOME = Query(
    select(nonces_table.c.scope, nonces_table.c.nonce).where(
        or_(
            *(
                and_(
                    nonces_table.c.scope == bindparam(f"scope{number}"),
                    nonces_table.c.nonce == bindparam(f"nonce{number}"),
                )
                for number in range(_AT_ONCE)
            )
        )
    )
)
FORGET_OLD = Query(delete(nonces_table).where(nonces_table.c.expires_at < bindparam("before")))


async def use(
    db: Reader, writes: Writes, scope: str, nonces: Sequence[str], until: Instant
) -> bool:
    """False if it was used before. `nonces` are one value under each key in use, the current key first;
    `until` is when it becomes invalid anyway. If others use it meanwhile, the unit of work loses its
    race."""
    if await is_used(db, scope, nonces):
        return False
    take(writes, scope, nonces[0], until)
    return True


async def used(db: Reader, *wanted: tuple[str, str]) -> set[tuple[str, str]]:
    """Those of up to three pairs of scope and nonce that were used, in one statement."""
    padded = [*wanted, *wanted[-1:] * (_AT_ONCE - len(wanted))]
    values = {
        f"{name}{number}": value
        for number, pair in enumerate(padded)
        for name, value in zip(("scope", "nonce"), pair, strict=True)
    }
    return {(row["scope"], row["nonce"]) for row in await db.fetch(_FIND_SOME, **values)}


def take(writes: Writes, scope: str, nonce: str, until: Instant) -> None:
    """Uses a nonce that was not used yet. If others do so meanwhile, the unit of work loses its race."""
    writes.add(_USE, scope=scope, nonce=nonce, expires_at=until)


async def is_used(db: Reader, scope: str, nonces: Sequence[str]) -> bool:
    return await db.fetch_one(_FIND, scope=scope, **index_params("nonce", nonces)) is not None
