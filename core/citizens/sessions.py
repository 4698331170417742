"""Sessions of signed-in front-ends.

A session belongs to one channel and one account there, and its row to the citizen, or to itself until
the citizen is known. The token holds, encrypted, whose row it is, and 256 random bits; it is stored
as an unkeyed SHA-256, because it cannot be guessed. Binding moves a session: the old row ends, and a
new one begins under the citizen, with a new token.
"""

import base64
import hashlib
import hmac
import secrets
import struct
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
    func,
    select,
    text,
    update,
)

from core.crypto import CannotOpen, Vault, index_is, index_params
from core.db import Query, Reader, Row, Writes, fetch_in, in_batch, insert_into, metadata
from core.kernel import lengths
from core.kernel.callers import CHANNELS, LEVELS, Caller, ChannelId, RealNameLevel
from core.kernel.clock import CLOCK_SKEW, Instant
from core.kernel.ids import new_id
from core.kernel.refusals import NoSuchSession

sessions_table = Table(
    "sessions",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("channel", String(lengths.CHANNEL_ID), nullable=False),
    Column("account_index", LargeBinary, nullable=False),
    Column("account", LargeBinary, nullable=False),
    Column("level", String(16), nullable=False),
    Column("device_mac", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("ix_sessions_account_index", "account_index"),
    Index(
        "ix_sessions_not_ended",
        "expires_at",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    sqlite_with_rowid=False,
)

_SECRET_BYTES = 32
_IDS = struct.Struct(">qq")

CALLER_COLUMNS = [
    sessions_table.c[name].label(f"session_{name}")
    for name in ("subject_id", "id", "channel", "account_index", "level", "device_mac")
]
_is_open = (sessions_table.c.ended_at.is_(None), sessions_table.c.expires_at > bindparam("now"))
_is_this = (
    sessions_table.c.subject_id == bindparam("session_subject"),
    sessions_table.c.id == bindparam("session_id"),
)
IS_OF_TOKEN = (
    *_is_this,
    *_is_open,
    sessions_table.c.token_hash == bindparam("token_hash"),
    sessions_table.c.created_at <= bindparam("latest"),
)
OF_TOKEN = Query(select(*CALLER_COLUMNS).where(*IS_OF_TOKEN))
_IS_OPEN = Query(select(sessions_table.c.id).where(*_is_this, *_is_open))
_OPEN_AMONG = Query(
    select(sessions_table.c.subject_id, sessions_table.c.id).where(
        in_batch(sessions_table.c.subject_id), *_is_open
    )
)
_LAST_OF_SUBJECT = Query(
    select(sessions_table.c.channel)
    .where(sessions_table.c.subject_id == bindparam("subject_id"))
    .order_by(sessions_table.c.id.desc())
    .limit(1)
)
_INSERT = insert_into(sessions_table)
_END = Query(
    update(sessions_table)
    .where(*_is_this, sessions_table.c.ended_at.is_(None))
    .values(ended_at=bindparam("at"))
)
_END_ALL = Query(
    update(sessions_table)
    .where(
        sessions_table.c.subject_id == bindparam("of_subject"), sessions_table.c.ended_at.is_(None)
    )
    .values(ended_at=bindparam("at"))
)
_of_account = (
    sessions_table.c.channel == bindparam("of_channel"),
    index_is(sessions_table.c.account_index, "account"),
)
_END_OF_ACCOUNT = Query(
    update(sessions_table)
    .where(
        sessions_table.c.subject_id == bindparam("of_subject"),
        *_of_account,
        sessions_table.c.id != bindparam("but_not"),
        sessions_table.c.ended_at.is_(None),
    )
    .values(ended_at=bindparam("at"))
)
_ERASE_ACCOUNT = Query(
    update(sessions_table)
    .where(*_of_account)
    .values(
        account=b"",
        account_index=b"",
        ended_at=func.coalesce(sessions_table.c.ended_at, bindparam("at", type_=BigInteger)),
    )
)
_OPEN_OF_SUBJECT = Query(
    select(
        sessions_table.c.id,
        sessions_table.c.channel,
        sessions_table.c.created_at,
        sessions_table.c.expires_at,
    )
    .where(sessions_table.c.subject_id == bindparam("subject_id"), *_is_open)
    .order_by(sessions_table.c.id.desc())
)
_OPEN_OF_ID = Query(select(sessions_table).where(*_is_this, *_is_open))


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


@dataclass(frozen=True, slots=True)
class StoredSession:
    """`account` is encrypted."""

    id: int
    subject_id: int
    channel: ChannelId
    account_index: bytes
    account: bytes = field(repr=False)
    device_mac: bytes | None
    expires_at: Instant


def by_token(vault: Vault, token: str, now: Instant) -> dict[str, Any] | None:
    """Parameters for `IS_OF_TOKEN`; None for a token that we have not issued."""
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        opened = vault.open_bytes(sealed, "sessions.token", 0)
    except (ValueError, CannotOpen):
        return None
    subject_id, session_id = _IDS.unpack(opened[: _IDS.size])
    return {
        "session_subject": subject_id,
        "session_id": session_id,
        "token_hash": _hash(token),
        "now": now,
        "latest": now + CLOCK_SKEW,
    }


def caller_of(row: Row, address: str, device_key: str | None) -> Caller | None:
    """None if the session was started with another device key."""
    mac, channel = row["session_device_mac"], row["session_channel"]
    level = LEVELS[row["session_level"]]
    if mac is not None and not _is_of_device(mac, device_key):
        return None
    return Caller(
        channel=CHANNELS.get(channel) or ChannelId(channel),
        session_id=row["session_id"],
        citizen_id=None if level is RealNameLevel.NONE else row["session_subject_id"],
        account_index=row["session_account_index"],
        level=level,
        address=address,
    )


async def find_caller(
    db: Reader, vault: Vault, token: str, now: Instant, address: str, device_key: str | None = None
) -> Caller | None:
    """None if there is no valid session, or it was started with another device key."""
    values = by_token(vault, token, now)
    row = await db.fetch_one(OF_TOKEN, **values) if values else None
    return None if row is None else caller_of(row, address, device_key)


async def is_open(db: Reader, subject_id: int, session_id: int, now: Instant) -> bool:
    row = await db.fetch_one(_IS_OPEN, session_subject=subject_id, session_id=session_id, now=now)
    return row is not None


async def open_among(db: Reader, subject_ids: Iterable[int], now: Instant) -> set[tuple[int, int]]:
    """Subject and id of each open session of these subjects."""
    rows = await fetch_in(db, _OPEN_AMONG, subject_ids, now=now)
    return {(row["subject_id"], row["id"]) for row in rows}


async def last_channel(db: Reader, citizen_id: int) -> ChannelId | None:
    """The channel of the citizen's latest stored session."""
    row = await db.fetch_one(_LAST_OF_SUBJECT, subject_id=citizen_id)
    return None if row is None else ChannelId(row["channel"])


def start(
    writes: Writes,
    vault: Vault,
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
    session_id = new_id(now)
    subject_id = citizen_id or session_id
    token = _new_token(vault, subject_id, session_id)
    writes.add(
        _INSERT,
        subject_id=subject_id,
        id=session_id,
        token_hash=_hash(token),
        channel=channel.value,
        account_index=account_index,
        account=account,
        level=level.value,
        device_mac=device_mac,
        created_at=now,
        expires_at=now + lifetime,
        ended_at=None,
    )
    return NewSession(session_id, token, now + lifetime)


def move(
    writes: Writes,
    vault: Vault,
    now: Instant,
    stored: StoredSession,
    citizen_id: int,
    level: RealNameLevel,
) -> NewSession:
    """Ends a session, and begins one under the citizen with the same account, device and end."""
    end(writes, stored.subject_id, stored.id, now)
    return start(
        writes,
        vault,
        now,
        channel=stored.channel,
        account_index=stored.account_index,
        account=stored.account,
        citizen_id=citizen_id,
        level=level,
        lifetime=stored.expires_at - now,
        device_mac=stored.device_mac,
    )


def end(writes: Writes, subject_id: int, session_id: int, now: Instant) -> None:
    """If it has ended meanwhile, the unit of work loses its race."""
    writes.guard(_END, session_subject=subject_id, session_id=session_id, at=now)


def end_all(writes: Writes, citizen_id: int, now: Instant) -> None:
    writes.add(_END_ALL, of_subject=citizen_id, at=now)


def end_of_account(
    writes: Writes,
    channel: ChannelId,
    accounts: list[bytes],
    citizen_id: int,
    now: Instant,
    *,
    but_not: int = 0,
) -> None:
    """Ends the citizen's sessions of an account. `accounts` are its indexes from `account_indexes`."""
    account = index_params("account", accounts)
    writes.add(
        _END_OF_ACCOUNT,
        of_subject=citizen_id,
        of_channel=channel.value,
        but_not=but_not,
        at=now,
        **account,
    )


async def find(db: Reader, caller: Caller, now: Instant) -> StoredSession:
    """The caller's own. Raises `NoSuchSession` if it has ended meanwhile."""
    row = await db.fetch_one(
        _OPEN_OF_ID, session_subject=caller.subject_id, session_id=caller.session_id, now=now
    )
    if row is None:
        raise NoSuchSession
    return StoredSession(
        id=row["id"],
        subject_id=row["subject_id"],
        channel=caller.channel,
        account_index=bytes(row["account_index"]),
        account=bytes(row["account"]),
        device_mac=row["device_mac"],
        expires_at=row["expires_at"],
    )


async def find_open(db: Reader, subject_id: int, now: Instant) -> list[OpenSession]:
    """Newest first."""
    rows = await db.fetch(_OPEN_OF_SUBJECT, subject_id=subject_id, now=now)
    return [
        OpenSession(row["id"], ChannelId(row["channel"]), row["created_at"], row["expires_at"])
        for row in rows
    ]


def erase_account(writes: Writes, channel: ChannelId, accounts: list[bytes], now: Instant) -> None:
    """Ends the account's sessions, of whatever subject, and removes the account from them."""
    account = index_params("account", accounts)
    writes.add(_ERASE_ACCOUNT, of_channel=channel.value, at=now, **account)


def device_mac(device_key: str | None) -> bytes | None:
    """A device key is as random as a token and is stored in the same way."""
    return None if device_key is None else _hash(device_key)


def _is_of_device(mac: bytes, device_key: str | None) -> bool:
    return device_key is not None and hmac.compare_digest(bytes(mac), _hash(device_key))


def _new_token(vault: Vault, subject_id: int, session_id: int) -> str:
    content = _IDS.pack(subject_id, session_id) + secrets.token_bytes(_SECRET_BYTES)
    sealed = vault.seal(content, "sessions.token", 0)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
