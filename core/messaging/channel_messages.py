"""Messages sent into a channel's app, with the platform's delivery reports."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

from sqlalchemy import BigInteger, Column, String, Table, bindparam, delete, select, update

from core.citizens import ClaimKind, claims
from core.db import Query, Reader, Writes, insert_into, metadata
from core.kernel import lengths
from core.kernel.callers import ChannelId
from core.kernel.clock import Instant
from core.kernel.ids import new_id

channel_messages_table = Table(
    "channel_messages",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("channel", String(lengths.CHANNEL_ID), nullable=False),
    Column("template", String(32), nullable=False),
    Column("number", String(lengths.PLATFORM_TEXT), nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("delivery", String(lengths.PLATFORM_TEXT)),
    Column("delivered_at", BigInteger),
    sqlite_with_rowid=False,
)

_INSERT = insert_into(channel_messages_table)
_SET_DELIVERY = Query(
    update(channel_messages_table)
    .where(
        channel_messages_table.c.subject_id == bindparam("of_subject"),
        channel_messages_table.c.channel == bindparam("of_channel"),
        channel_messages_table.c.number == bindparam("of_number"),
    )
    .values(delivery=bindparam("result"), delivered_at=bindparam("at"))
)
_NUMBERS = Query(
    select(channel_messages_table.c.number).where(
        channel_messages_table.c.subject_id == bindparam("subject_id"),
        channel_messages_table.c.channel == bindparam("channel"),
    )
)
_ERASE = Query(
    delete(channel_messages_table).where(
        channel_messages_table.c.subject_id == bindparam("of_subject"),
        channel_messages_table.c.channel == bindparam("of_channel"),
    )
)


class Unreachable(Exception):
    """Permanent failure: the platform cannot deliver to this account."""


class Messenger(Protocol):
    """A channel that can send messages to its users."""

    async def notify(
        self, account: str, template_id: str, text: str, values: Mapping[str, str], now: Instant
    ) -> str:
        """Sends at most once and returns the platform's message number.

        Raises `Unreachable` or a refusal.
        """


def record_sent(
    writes: Writes,
    citizen_id: int,
    channel: ChannelId,
    template: str,
    number: str,
    now: Instant,
) -> None:
    stored = _stored_number(number)
    writes.add(
        _INSERT,
        subject_id=citizen_id,
        id=new_id(now),
        channel=channel.value,
        template=template,
        number=stored,
        sent_at=now,
        delivery=None,
        delivered_at=None,
    )
    key = claim_key(channel.value, stored)
    writes.add(
        claims.TAKE_IF_FREE,
        key=key,
        kind=ClaimKind.CHANNEL_MESSAGE.value,
        subject_id=citizen_id,
        at=now,
    )


async def record_delivery(
    db: Reader, writes: Writes, channel: ChannelId, number: str, result: str, now: Instant
) -> bool:
    """False if no message with this number has been recorded as sent."""
    stored = _stored_number(number)
    key = claim_key(channel.value, stored)
    citizen_id = await claims.owner(db, ClaimKind.CHANNEL_MESSAGE, [key])
    if citizen_id is None:
        return False
    writes.add(
        _SET_DELIVERY,
        of_subject=citizen_id,
        of_channel=channel.value,
        of_number=stored,
        result=result[: lengths.PLATFORM_TEXT],
        at=now,
    )
    return True


async def erase(db: Reader, writes: Writes, citizen_id: int, channel: ChannelId) -> None:
    for row in await db.fetch(_NUMBERS, subject_id=citizen_id, channel=channel.value):
        key = claim_key(channel.value, row["number"])
        claims.drop(writes, ClaimKind.CHANNEL_MESSAGE, key, citizen_id)
    writes.add(_ERASE, of_subject=citizen_id, of_channel=channel.value)


def claim_key(channel: str, stored_number: str) -> bytes:
    return claims.text_key(f"{channel}|{stored_number}")


def _stored_number(number: str) -> str:
    """Platforms specify no maximum length for their numbers: a longer one is stored as its SHA-256."""
    if len(number) <= lengths.PLATFORM_TEXT:
        return number
    return hashlib.sha256(number.encode()).hexdigest()
