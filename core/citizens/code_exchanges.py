"""Results of OAuth code exchanges, for a browser that presents the same code again.

A code can be exchanged once, but WeChat's browsers may call back twice. The second call finds the
first result here, in any worker process. The key is a MAC over code and state, so that only the
browser with that state gets it; it is stored for the code's lifetime.
"""

from dataclasses import dataclass, field

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    select,
)

from core.crypto import index_is, index_params
from core.db import Query, Reader, Writes, metadata
from core.kernel.clock import MINUTE, Instant

RETENTION = 5 * MINUTE

code_exchanges_table = Table(
    "code_exchanges",
    metadata,
    Column("pair_mac", String(128), primary_key=True),
    Column("account_index", LargeBinary, nullable=False),
    Column("account", LargeBinary, nullable=False),
    Column("lifetime_seconds", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_code_exchanges_account_index", "account_index"),
    sqlite_with_rowid=False,
)

_SAVE = Query(
    lambda insert: (
        insert(code_exchanges_table)
        .values({column.name: bindparam(column.name) for column in code_exchanges_table.c})
        .on_conflict_do_nothing(index_elements=["pair_mac"])
    )
)
_FIND = Query(
    select(code_exchanges_table.c.account, code_exchanges_table.c.lifetime_seconds).where(
        code_exchanges_table.c.pair_mac == bindparam("pair_mac"),
        code_exchanges_table.c.expires_at > bindparam("now"),
    )
)
_ERASE = Query(
    delete(code_exchanges_table).where(index_is(code_exchanges_table.c.account_index, "account"))
)
FORGET_OLD = Query(
    delete(code_exchanges_table).where(code_exchanges_table.c.expires_at < bindparam("before"))
)


@dataclass(frozen=True, slots=True)
class CodeExchange:
    """`account` is encrypted, as in a session; the lifetime is that of the platform's token."""

    account: bytes = field(repr=False)
    lifetime_seconds: int


def save(
    writes: Writes, pair_mac: str, account_index: bytes, exchange: CodeExchange, now: Instant
) -> None:
    """Only the first result is stored; a later one neither replaces nor prolongs it."""
    writes.add(
        _SAVE,
        pair_mac=pair_mac,
        account_index=account_index,
        account=exchange.account,
        lifetime_seconds=exchange.lifetime_seconds,
        expires_at=now + RETENTION,
    )


async def find(db: Reader, pair_mac: str, now: Instant) -> CodeExchange | None:
    row = await db.fetch_one(_FIND, pair_mac=pair_mac, now=now)
    return None if row is None else CodeExchange(bytes(row["account"]), row["lifetime_seconds"])


def erase(writes: Writes, accounts: list[bytes]) -> None:
    writes.add(_ERASE, **index_params("account", accounts))
