"""Messages into a channel: which went to whom, and what the platform said became of them."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

from sqlalchemy import BigInteger, Column, Index, String, Table, bindparam, delete, update

from core.db import Id, Query, Transaction, insert_into, metadata
from core.kernel import lengths
from core.kernel.callers import ChannelId
from core.kernel.clock import Instant
from core.kernel.ids import new_id

channel_messages_table = Table(
    "channel_messages",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("citizen_id", BigInteger, nullable=False),
    Column("channel", String(lengths.CHANNEL_ID), nullable=False),
    Column("template", String(32), nullable=False),
    Column("number", String(lengths.PLATFORM_TEXT), nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("delivery", String(lengths.PLATFORM_TEXT)),
    Column("delivered_at", BigInteger),
    Index("ix_channel_messages_number", "channel", "number"),
)

_INSERT = insert_into(channel_messages_table)
_NOTE = Query(
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
        channel_messages_table.c.citizen_id == bindparam("of_citizen"),
        channel_messages_table.c.channel == bindparam("of_channel"),
    )
)


class Unreachable(Exception):
    """The platform will not deliver to this account, or has no such message; it never will."""


class Messenger(Protocol):
    """A channel that takes messages for its users."""

    async def notify(
        self, account: str, template_id: str, text: str, values: Mapping[str, str], now: Instant
    ) -> str:
        """Sends at most once and returns the platform's number. Raises `Unreachable` or a refusal."""


async def note_sent(
    db: Transaction,
    citizen_id: int,
    channel: ChannelId,
    template: str,
    number: str,
    now: Instant,
) -> None:
    await db.fetch(
        _INSERT,
        id=new_id(now),
        citizen_id=citizen_id,
        channel=channel.value,
        template=template,
        number=_kept(number),
        sent_at=now,
        delivery=None,
        delivered_at=None,
    )


async def note_delivery(
    db: Transaction, channel: ChannelId, number: str, result: str, now: Instant
) -> bool:
    """False where no message of that number was noted as sent."""
    noted = await db.fetch(
        _NOTE,
        of_channel=channel.value,
        of_number=_kept(number),
        result=result[: lengths.PLATFORM_TEXT],
        at=now,
    )
    return bool(noted)


async def erase(db: Transaction, citizen_id: int, channel: ChannelId) -> None:
    await db.fetch(_ERASE, of_citizen=citizen_id, of_channel=channel.value)


def _kept(number: str) -> str:
    """No platform says how long its numbers are: a longer one is kept as its SHA-256."""
    if len(number) <= lengths.PLATFORM_TEXT:
        return number
    return hashlib.sha256(number.encode()).hexdigest()
