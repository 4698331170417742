"""The OAuth `state`: issued by us, alphanumeric, valid ten minutes, redeemed once.

Issuing writes nothing: the state is its time, a nonce and a mark. Redeeming keeps the nonce
until the state would have expired. RFC 6749 section 10.12.
"""

import secrets

from sqlalchemy import BigInteger, Column, String, Table, bindparam, delete

from core.callers import ChannelId
from core.clock import MINUTE, Instant
from core.database import Query, Transaction, metadata
from core.seals import Seals

LIFETIME = 10 * MINUTE
_TIME, _NONCE, _MARK = 12, 16, 32

used_states = Table(
    "used_states",
    metadata,
    Column("nonce", String(_NONCE), primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
)

_REDEEM = Query(
    lambda insert: (
        insert(used_states)
        .values(nonce=bindparam("nonce"), expires_at=bindparam("until"))
        .on_conflict_do_nothing(index_elements=["nonce"])
        .returning(used_states.c.nonce)
    )
)
FORGET_OLD = Query(delete(used_states).where(used_states.c.expires_at < bindparam("before")))


def issue(seals: Seals, channel: ChannelId, now: Instant) -> str:
    """60 hexadecimal characters."""
    nonce = secrets.token_hex(_NONCE // 2)
    return f"{now:0{_TIME}x}{nonce}{seals.link('state', channel, now, nonce)}"


def nonce_of(seals: Seals, channel: ChannelId, state: str, now: Instant) -> str | None:
    """The nonce of a state that we issued for this channel and that is still valid."""
    if len(state) != _TIME + _NONCE + _MARK or not state.isascii():
        return None
    time, nonce, mark = state[:_TIME], state[_TIME:-_MARK], state[-_MARK:]
    try:
        issued_at = int(time, 16)
    except ValueError:
        return None
    if not seals.matches_link(mark, "state", channel, issued_at, nonce):
        return None
    return nonce if issued_at <= now < issued_at + LIFETIME else None


async def redeem(db: Transaction, nonce: str, now: Instant) -> bool:
    """False when it was redeemed before."""
    return await db.fetch_one(_REDEEM, nonce=nonce, until=now + LIFETIME) is not None
