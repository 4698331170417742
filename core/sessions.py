"""Sessions: what a signed-in front-end shows with every request.

The token is 256 random bits and is stored only as its SHA-256: it needs no key, because it
cannot be guessed. A session belongs to one channel and one account there.
"""

import hashlib
import secrets
from dataclasses import dataclass, field

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    String,
    Table,
    bindparam,
    select,
    update,
)

from core.callers import Caller, ChannelId, RealNameLevel
from core.clock import Instant
from core.database import Id, Query, Reader, Transaction, insert_into, metadata
from core.ids import new_id

sessions = Table(
    "sessions",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("account_index", LargeBinary, nullable=False),
    Column("account", LargeBinary, nullable=False),
    Column("citizen_id", BigInteger),
    Column("level", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("uq_sessions_token_hash", "token_hash", unique=True),
    Index("ix_sessions_citizen_id", "citizen_id"),
    Index("ix_sessions_account_index", "account_index"),
)

_BY_TOKEN = Query(
    select(
        sessions.c.id,
        sessions.c.channel,
        sessions.c.citizen_id,
        sessions.c.account_index,
        sessions.c.level,
    ).where(
        sessions.c.token_hash == bindparam("token_hash"),
        sessions.c.ended_at.is_(None),
        sessions.c.expires_at > bindparam("now"),
    )
)
_IS_OPEN = Query(
    select(sessions.c.id).where(
        sessions.c.id == bindparam("session_id"),
        sessions.c.ended_at.is_(None),
        sessions.c.expires_at > bindparam("now"),
    )
)
_INSERT = insert_into(sessions)
_END = Query(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"), sessions.c.ended_at.is_(None))
    .values(ended_at=bindparam("at"))
)
_END_OTHERS = Query(
    update(sessions)
    .where(
        sessions.c.channel == bindparam("of_channel"),
        sessions.c.account_index == bindparam("of_account"),
        sessions.c.id != bindparam("kept"),
        sessions.c.ended_at.is_(None),
    )
    .values(ended_at=bindparam("at"))
)
_ASSIGN = Query(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"))
    .values(citizen_id=bindparam("person"), level=bindparam("new_level"))
)
_ACCOUNT = Query(select(sessions.c.account).where(sessions.c.id == bindparam("session_id")))


@dataclass(frozen=True, slots=True)
class NewSession:
    id: int
    token: str = field(repr=False)
    expires_at: Instant


async def find_caller(db: Reader, token: str, now: Instant, address: str) -> Caller | None:
    row = await db.fetch_one(_BY_TOKEN, token_hash=_hash(token), now=now)
    if row is None:
        return None
    return Caller(
        channel=ChannelId(row["channel"]),
        session_id=row["id"],
        citizen_id=row["citizen_id"],
        account_index=row["account_index"],
        level=RealNameLevel(row["level"]),
        address=address,
    )


async def is_open(db: Reader, session_id: int, now: Instant) -> bool:
    return await db.fetch_one(_IS_OPEN, session_id=session_id, now=now) is not None


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
) -> NewSession:
    """`lifetime` is in milliseconds; `account` is the sealed platform user key."""
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
        created_at=now,
        expires_at=session.expires_at,
        ended_at=None,
    )
    return session


async def end(db: Transaction, session_id: int, now: Instant) -> None:
    await db.fetch(_END, session_id=session_id, at=now)


async def end_all_of_account(
    db: Transaction, channel: ChannelId, account_index: bytes, now: Instant, *, keep: int = 0
) -> None:
    await db.fetch(
        _END_OTHERS, of_channel=channel.value, of_account=account_index, kept=keep, at=now
    )


async def assign(db: Transaction, session_id: int, citizen_id: int, level: RealNameLevel) -> None:
    await db.fetch(_ASSIGN, session_id=session_id, person=citizen_id, new_level=level.value)


async def sealed_account(db: Reader, session_id: int) -> bytes:
    row = await db.fetch_one(_ACCOUNT, session_id=session_id)
    assert row is not None
    return bytes(row["account"])


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
