"""Bindings (绑卡): which citizen a channel account belongs to.

An account is bound to one citizen, and a citizen has at most one binding per channel.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    select,
    text,
    update,
)

from core.citizens import claims, sessions
from core.citizens.claims import ClaimKind
from core.crypto import Vault, account_indexes, index_is, index_params, open_account
from core.db import Query, Reader, Writes, insert_into, metadata
from core.kernel import lengths
from core.kernel.callers import ChannelId
from core.kernel.clock import Instant
from core.kernel.ids import new_id

bindings_table = Table(
    "bindings",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("channel", String(lengths.CHANNEL_ID), nullable=False),
    Column("account_index", LargeBinary, nullable=False),
    Column("account", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    ForeignKeyConstraint(["subject_id"], ["citizens.subject_id"], name="fk_bindings_subject_id"),
    Index(
        "uq_bindings_channel",
        "subject_id",
        "channel",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    sqlite_with_rowid=False,
)

_INSERT = insert_into(bindings_table)
_END = Query(
    update(bindings_table)
    .where(
        bindings_table.c.subject_id == bindparam("of_subject"),
        bindings_table.c.id == bindparam("binding_id"),
        bindings_table.c.ended_at.is_(None),
    )
    .values(ended_at=bindparam("at"))
)
_ERASE = Query(
    delete(bindings_table).where(
        bindings_table.c.subject_id == bindparam("of_subject"),
        bindings_table.c.channel == bindparam("of_channel"),
        index_is(bindings_table.c.account_index, "account"),
    )
)
_OF_SUBJECT = Query(
    select(
        bindings_table.c.id,
        bindings_table.c.subject_id,
        bindings_table.c.channel,
        bindings_table.c.account,
    )
    .where(
        bindings_table.c.subject_id == bindparam("subject_id"), bindings_table.c.ended_at.is_(None)
    )
    .order_by(bindings_table.c.id)
)


@dataclass(frozen=True, slots=True)
class Binding:
    """`account` is encrypted."""

    id: int
    citizen_id: int
    channel: ChannelId
    account: bytes = field(repr=False)


async def citizen_of(db: Reader, accounts: list[bytes]) -> int | None:
    """`accounts` are the account's indexes from `account_indexes`."""
    return await claims.owner(db, ClaimKind.ACCOUNT, accounts)


def keep(writes: Writes, accounts: list[bytes], citizen_id: int) -> None:
    """Guards what rests on the account's being bound to this citizen."""
    claims.keep(writes, ClaimKind.ACCOUNT, accounts, citizen_id)


async def of_citizen(db: Reader, citizen_id: int) -> list[Binding]:
    """In all channels, oldest first."""
    rows = await db.fetch(_OF_SUBJECT, subject_id=citizen_id)
    return [
        Binding(row["id"], row["subject_id"], ChannelId(row["channel"]), bytes(row["account"]))
        for row in rows
    ]


async def replaced_by(
    db: Reader, channel: ChannelId, accounts: list[bytes], citizen_id: int
) -> list[Binding]:
    """The bindings that must end when this account is bound to this citizen: the account's own, of
    whomever it is, and the citizen's in this channel."""
    owner = await citizen_of(db, accounts)
    of_both = await of_citizen(db, citizen_id)
    if owner is not None and owner != citizen_id:
        of_both += await of_citizen(db, owner)
    return [binding for binding in of_both if binding.channel == channel]


def bind(
    writes: Writes,
    vault: Vault,
    now: Instant,
    *,
    channel: ChannelId,
    accounts: list[bytes],
    account: bytes,
    citizen_id: int,
    replaced: Iterable[Binding],
) -> None:
    """Ends the `replaced` bindings, and binds the account."""
    for older in replaced:
        end(writes, vault, older, now)
    writes.add(
        _INSERT,
        subject_id=citizen_id,
        id=new_id(now),
        channel=channel.value,
        account_index=accounts[0],
        account=account,
        created_at=now,
        ended_at=None,
    )
    claims.take(writes, ClaimKind.ACCOUNT, accounts[0], citizen_id, now)


def end(writes: Writes, vault: Vault, binding: Binding, now: Instant) -> None:
    keys = account_indexes(vault, binding.channel, open_account(vault, binding.account))
    writes.guard(_END, of_subject=binding.citizen_id, binding_id=binding.id, at=now)
    claims.release(writes, ClaimKind.ACCOUNT, keys, binding.citizen_id)


def end_sessions(
    writes: Writes, vault: Vault, ended: Binding, now: Instant, *, but_not: int = 0
) -> None:
    """Ends the sessions of an account whose binding ends, except the one that is moved."""
    accounts = account_indexes(vault, ended.channel, open_account(vault, ended.account))
    sessions.end_of_account(writes, ended.channel, accounts, ended.citizen_id, now, but_not=but_not)


def erase(writes: Writes, channel: ChannelId, accounts: list[bytes], citizen_id: int) -> None:
    """Deletes the citizen's bindings of an account, the ended ones too, and the account's claim."""
    account = index_params("account", accounts)
    writes.add(_ERASE, of_subject=citizen_id, of_channel=channel.value, **account)
    claims.release(writes, ClaimKind.ACCOUNT, accounts, citizen_id)
