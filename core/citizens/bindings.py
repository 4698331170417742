"""Bindings (绑卡): which citizen a channel account belongs to.

An account is bound to one citizen, and a citizen has at most one binding per channel.
"""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    or_,
    select,
    text,
    update,
)

from core.crypto import index_is, index_params
from core.db import Id, Query, Reader, Transaction, insert_into, metadata
from core.kernel import lengths
from core.kernel.callers import ChannelId
from core.kernel.clock import Instant
from core.kernel.ids import new_id

bindings_table = Table(
    "bindings",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("channel", String(lengths.CHANNEL_ID), nullable=False),
    Column("account_index", LargeBinary, nullable=False),
    Column("account", LargeBinary, nullable=False),
    Column("citizen_id", BigInteger, ForeignKey("citizens.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index(
        "uq_bindings_account",
        "channel",
        "account_index",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "uq_bindings_citizen",
        "citizen_id",
        "channel",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

_OF_ACCOUNT = Query(
    select(bindings_table.c.citizen_id).where(
        bindings_table.c.channel == bindparam("channel"),
        index_is(bindings_table.c.account_index, "account"),
        bindings_table.c.ended_at.is_(None),
    )
)
_INSERT = insert_into(bindings_table)
_END_OLDER = Query(
    update(bindings_table)
    .where(
        bindings_table.c.channel == bindparam("of_channel"),
        or_(
            index_is(bindings_table.c.account_index, "account"),
            bindings_table.c.citizen_id == bindparam("of_citizen"),
        ),
        bindings_table.c.ended_at.is_(None),
    )
    .values(ended_at=bindparam("at"))
    .returning(bindings_table.c.account, bindings_table.c.citizen_id)
)
_ERASE = Query(
    delete(bindings_table).where(
        bindings_table.c.channel == bindparam("of_channel"),
        index_is(bindings_table.c.account_index, "account"),
    )
)
_OF_CITIZEN = Query(
    select(bindings_table.c.channel, bindings_table.c.account)
    .where(
        bindings_table.c.citizen_id == bindparam("citizen_id"), bindings_table.c.ended_at.is_(None)
    )
    .order_by(bindings_table.c.id)
)


@dataclass(frozen=True, slots=True)
class EndedBinding:
    """`account` is the encrypted account that was bound."""

    account: bytes
    citizen_id: int


async def citizen_of(db: Reader, channel: ChannelId, accounts: list[bytes]) -> int | None:
    """`accounts` are the account's indexes from `account_indexes`."""
    row = await db.fetch_one(
        _OF_ACCOUNT, channel=channel.value, **index_params("account", accounts)
    )
    return None if row is None else int(row["citizen_id"])


async def bind(
    db: Transaction,
    now: Instant,
    *,
    channel: ChannelId,
    accounts: list[bytes],
    account: bytes,
    citizen_id: int,
) -> list[EndedBinding]:
    """Binds, and returns the older bindings of the account or the citizen that this one ended."""
    ended = await db.fetch(
        _END_OLDER,
        of_channel=channel.value,
        of_citizen=citizen_id,
        at=now,
        **index_params("account", accounts),
    )
    await db.fetch(
        _INSERT,
        id=new_id(now),
        channel=channel.value,
        account_index=accounts[0],
        account=account,
        citizen_id=citizen_id,
        created_at=now,
        ended_at=None,
    )
    return [EndedBinding(bytes(row["account"]), row["citizen_id"]) for row in ended]


async def erase(db: Transaction, channel: ChannelId, accounts: list[bytes]) -> None:
    """Deletes all bindings of an account, including ended ones."""
    await db.fetch(_ERASE, of_channel=channel.value, **index_params("account", accounts))


async def accounts_of(db: Reader, citizen_id: int) -> list[tuple[ChannelId, bytes]]:
    """The channels in which a citizen is bound, with the encrypted account in each."""
    rows = await db.fetch(_OF_CITIZEN, citizen_id=citizen_id)
    return [(ChannelId(row["channel"]), bytes(row["account"])) for row in rows]
