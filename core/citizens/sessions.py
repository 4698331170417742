"""Sessions of signed-in front-ends.

The token has 256 random bits and is stored as an unkeyed SHA-256, because it cannot be guessed. A
session belongs to one channel and one account there.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    String,
    Table,
    bindparam,
    select,
    text,
    update,
)

from core.crypto import index_is, index_params
from core.db import Id, Query, Reader, Row, Transaction, fetch_in, in_batch, insert_into, metadata
from core.kernel import lengths
from core.kernel.callers import CHANNELS, LEVELS, Caller, ChannelId, RealNameLevel
from core.kernel.clock import CLOCK_SKEW, Instant
from core.kernel.ids import new_id

sessions_table = Table(
    "sessions",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("channel", String(lengths.CHANNEL_ID), nullable=False),
    Column("account_index", LargeBinary, nullable=False),
    Column("account", LargeBinary, nullable=False),
    Column("citizen_id", BigInteger),
    Column("level", String(16), nullable=False),
    Column("device_mac", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("uq_sessions_token_hash", "token_hash", unique=True),
    Index("ix_sessions_citizen_id", "citizen_id"),
    Index("ix_sessions_account_index", "account_index"),
    Index(
        "ix_sessions_not_ended",
        "expires_at",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

CALLER_COLUMNS = [
    sessions_table.c[name].label(f"session_{name}")
    for name in ("id", "channel", "citizen_id", "account_index", "level", "device_mac")
]
IS_OF_TOKEN = (
    sessions_table.c.token_hash == bindparam("token_hash"),
    sessions_table.c.ended_at.is_(None),
    sessions_table.c.expires_at > bindparam("now"),
    sessions_table.c.created_at <= bindparam("latest"),
)
OF_TOKEN = Query(select(*CALLER_COLUMNS).where(*IS_OF_TOKEN))
_IS_OPEN = Query(
    select(sessions_table.c.id).where(
        sessions_table.c.id == bindparam("session_id"),
        sessions_table.c.ended_at.is_(None),
        sessions_table.c.expires_at > bindparam("now"),
    )
)
_OPEN_AMONG = Query(
    select(sessions_table.c.id).where(
        in_batch(sessions_table.c.id),
        sessions_table.c.ended_at.is_(None),
        sessions_table.c.expires_at > bindparam("now"),
    )
)
_LAST_OF_CITIZEN = Query(
    select(sessions_table.c.channel)
    .where(sessions_table.c.citizen_id == bindparam("citizen_id"))
    .order_by(sessions_table.c.id.desc())
    .limit(1)
)
_INSERT = insert_into(sessions_table)
_END = Query(
    update(sessions_table)
    .where(sessions_table.c.id == bindparam("session_id"), sessions_table.c.ended_at.is_(None))
    .values(ended_at=bindparam("at"))
)
_END_OTHERS = Query(
    update(sessions_table)
    .where(
        sessions_table.c.channel == bindparam("of_channel"),
        index_is(sessions_table.c.account_index, "account"),
        sessions_table.c.id != bindparam("except_id"),
        sessions_table.c.ended_at.is_(None),
    )
    .values(ended_at=bindparam("at"))
)
_ASSIGN = Query(
    update(sessions_table)
    .where(sessions_table.c.id == bindparam("session_id"))
    .values(citizen_id=bindparam("of_citizen"), level=bindparam("new_level"))
)
_ERASE_ACCOUNT = Query(
    update(sessions_table)
    .where(
        sessions_table.c.channel == bindparam("of_channel"),
        index_is(sessions_table.c.account_index, "account"),
    )
    .values(account=b"", account_index=b"")
)
_open = (sessions_table.c.ended_at.is_(None), sessions_table.c.expires_at > bindparam("now"))
_shown = select(
    sessions_table.c.id,
    sessions_table.c.channel,
    sessions_table.c.created_at,
    sessions_table.c.expires_at,
).where(*_open)
_OPEN_OF_CITIZEN = Query(
    _shown.where(sessions_table.c.citizen_id == bindparam("citizen_id")).order_by(
        sessions_table.c.id.desc()
    )
)
_OPEN_BY_ID = Query(_shown.where(sessions_table.c.id == bindparam("session_id")))
_BELONGS = Query(
    select(sessions_table.c.id).where(
        sessions_table.c.id == bindparam("session_id"),
        sessions_table.c.citizen_id == bindparam("citizen_id"),
        *_open,
    )
)
_ACCOUNT = Query(
    select(sessions_table.c.account).where(sessions_table.c.id == bindparam("session_id"))
)


@dataclass(frozen=True, slots=True)
class OpenSession:
    id: int
    channel: ChannelId
    started_at: Instant
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class NewSession:
    id: int
    token: str = field(repr=False)
    expires_at: Instant


def by_token(token: str, now: Instant) -> dict[str, Any]:
    """Parameters for `IS_OF_TOKEN`."""
    digest = hashlib.sha256(token.encode()).digest()
    return {"token_hash": digest, "now": now, "latest": now + CLOCK_SKEW}


def caller_of(row: Row, address: str, device_key: str | None) -> Caller | None:
    """None if the session was started with another device key."""
    mac, channel = row["session_device_mac"], row["session_channel"]
    if mac is not None and not _is_of_device(mac, device_key):
        return None
    return Caller(
        channel=CHANNELS.get(channel) or ChannelId(channel),
        session_id=row["session_id"],
        citizen_id=row["session_citizen_id"],
        account_index=row["session_account_index"],
        level=LEVELS[row["session_level"]],
        address=address,
    )


async def find_caller(
    db: Reader, token: str, now: Instant, address: str, device_key: str | None = None
) -> Caller | None:
    """None if there is no valid session, or it was started with another device key."""
    row = await db.fetch_one(OF_TOKEN, **by_token(token, now))
    return None if row is None else caller_of(row, address, device_key)


async def is_open(db: Reader, session_id: int, now: Instant) -> bool:
    return await db.fetch_one(_IS_OPEN, session_id=session_id, now=now) is not None


async def open_among(db: Reader, session_ids: Iterable[int], now: Instant) -> set[int]:
    """The ids of those that are still open."""
    return {row["id"] for row in await fetch_in(db, _OPEN_AMONG, session_ids, now=now)}


async def last_channel(db: Reader, citizen_id: int) -> ChannelId | None:
    """The channel of the citizen's latest stored session."""
    row = await db.fetch_one(_LAST_OF_CITIZEN, citizen_id=citizen_id)
    return None if row is None else ChannelId(row["channel"])


async def start(
    db: Transaction,
    now: Instant,
    *,
    channel: ChannelId,
    account_index: bytes,
    account: bytes,
    citizen_id: int | None,
    level: RealNameLevel,
    lifetime: int,
    device_mac: bytes | None = None,
) -> NewSession:
    """`lifetime` is in milliseconds; `account` is the encrypted platform user id."""
    token = secrets.token_urlsafe(32)
    session = NewSession(new_id(now), token, now + lifetime)
    await db.fetch(
        _INSERT,
        id=session.id,
        token_hash=_hash(token),
        channel=channel.value,
        account_index=account_index,
        account=account,
        citizen_id=citizen_id,
        level=level.value,
        device_mac=device_mac,
        created_at=now,
        expires_at=session.expires_at,
        ended_at=None,
    )
    return session


async def end(db: Transaction, session_id: int, now: Instant) -> None:
    await db.fetch(_END, session_id=session_id, at=now)


async def end_all_of_account(
    db: Transaction,
    channel: ChannelId,
    accounts: list[bytes],
    now: Instant,
    *,
    keep: int = 0,
) -> None:
    """`accounts` are the account's indexes from `account_indexes`."""
    await db.fetch(
        _END_OTHERS,
        of_channel=channel.value,
        except_id=keep,
        at=now,
        **index_params("account", accounts),
    )


async def assign(db: Transaction, session_id: int, citizen_id: int, level: RealNameLevel) -> None:
    await db.fetch(_ASSIGN, session_id=session_id, of_citizen=citizen_id, new_level=level.value)


async def sealed_account(db: Reader, session_id: int) -> bytes:
    row = await db.fetch_one(_ACCOUNT, session_id=session_id)
    assert row is not None
    return bytes(row["account"])


async def find_open(db: Reader, citizen_id: int, now: Instant) -> list[OpenSession]:
    rows = await db.fetch(_OPEN_OF_CITIZEN, citizen_id=citizen_id, now=now)
    return [_open_session(row) for row in rows]


async def find_open_by_id(db: Reader, session_id: int, now: Instant) -> list[OpenSession]:
    rows = await db.fetch(_OPEN_BY_ID, session_id=session_id, now=now)
    return [_open_session(row) for row in rows]


async def belongs_to(db: Reader, session_id: int, citizen_id: int, now: Instant) -> bool:
    row = await db.fetch_one(_BELONGS, session_id=session_id, citizen_id=citizen_id, now=now)
    return row is not None


async def erase_account(db: Transaction, channel: ChannelId, accounts: list[bytes]) -> None:
    """Removes the account from its sessions."""
    await db.fetch(_ERASE_ACCOUNT, of_channel=channel.value, **index_params("account", accounts))


def device_mac(device_key: str | None) -> bytes | None:
    """A device key is as random as a token and is stored in the same way."""
    return None if device_key is None else _hash(device_key)


def _is_of_device(mac: bytes, device_key: str | None) -> bool:
    return device_key is not None and hmac.compare_digest(bytes(mac), _hash(device_key))


def _open_session(row: Row) -> OpenSession:
    return OpenSession(row["id"], ChannelId(row["channel"]), row["created_at"], row["expires_at"])


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
