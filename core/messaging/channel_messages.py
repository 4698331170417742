"""Messages sent into a channel's app, with the platform's delivery reports."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

from sqlalchemy import BigInteger, Column, Index, String, Table, bindparam, delete, update

from core.db import Query, Transaction, insert_into, metadata
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
    Index("ix_channel_messages_number", "channel", "number"),
    sqlite_with_rowid=False,
)

_INSERT = insert_into(channel_messages_table)
_SET_DELIVERY = Query(
    update(channel_messages_table)
    .where(
        channel_messages_table.c.channel == bindparam("of_channel"),
        channel_messages_table.c.number == bindparam("of_number"),
    )
    .values(delivery=bindparam("result"), delivered_at=bindparam("at"))
    .returning(channel_messages_table.c.id)
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


async def record_sent(
    db: Transaction,
    subject_id: int,
    channel: ChannelId,
    template: str,
    number: str,
    now: Instant,
) -> None:
    await db.fetch(
        _INSERT,
        subject_id=subject_id,
        id=new_id(now),
        channel=channel.value,
        template=template,
        number=_stored_number(number),
        sent_at=now,
        delivery=None,
        delivered_at=None,
    )


async def record_delivery(
    db: Transaction, channel: ChannelId, number: str, result: str, now: Instant
) -> bool:
    """False if no message with this number has been recorded as sent."""
    updated = await db.fetch(
        _SET_DELIVERY,
        of_channel=channel.value,
        of_number=_stored_number(number),
        result=result[: lengths.PLATFORM_TEXT],
        at=now,
    )
    return bool(updated)


async def erase(db: Transaction, subject_id: int, channel: ChannelId) -> None:
    await db.fetch(_ERASE, of_subject=subject_id, of_channel=channel.value)


def _stored_number(number: str) -> str:
    """Platforms specify no maximum length for their numbers: a longer one is stored as its SHA-256."""
    if len(number) <= lengths.PLATFORM_TEXT:
        return number
    return hashlib.sha256(number.encode()).hexdigest()
