"""Messages into a channel, and what the platform reports of them."""

import pytest
from sqlalchemy import select

from core.db import Database, Query, Writes
from core.kernel.callers import ChannelId
from core.messaging import channel_messages
from core.messaging.channel_messages import channel_messages_table

NOW = 1_800_000_000_000
ROWS = Query(select(channel_messages_table).order_by(channel_messages_table.c.id))


async def send(db: Database, number: str) -> None:
    writes = Writes()
    channel_messages.record_sent(writes, 1, ChannelId.PING_AN, "CARD_READY", number, NOW)
    await db.apply(writes)


async def report(db: Database, number: str, result: str) -> bool:
    writes = Writes()
    is_known = await channel_messages.record_delivery(
        db, writes, ChannelId.PING_AN, number, result, NOW
    )
    await db.apply(writes)
    return is_known


@pytest.mark.parametrize("length", [1, 64, 65, 5000])
async def test_a_message_is_known_by_its_number_however_long(db: Database, length: int) -> None:
    await send(db, "1" * length)

    assert await report(db, "1" * length, "success") is True
    assert [row["delivery"] for row in await db.fetch(ROWS)] == ["success"]


async def test_long_numbers_that_begin_alike_are_told_apart(db: Database) -> None:
    await send(db, "1" * 64 + "a")

    assert await report(db, "1" * 64 + "b", "success") is False
    assert [row["delivery"] for row in await db.fetch(ROWS)] == [None]


async def test_of_a_long_report_the_beginning_is_kept(db: Database) -> None:
    await send(db, "1")

    await report(db, "1", "failed: system failed " * 10)

    assert [row["delivery"] for row in await db.fetch(ROWS)] == [
        "failed: system failed failed: system failed failed: system faile"
    ]
