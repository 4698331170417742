"""Events that a platform sends about a user: unfollowed, or a message was delivered.

Platforms repeat events that were not acknowledged, and requests can be replayed: each event key
and each nonce is accepted once.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from core import audit
from core.audit import Action
from core.citizens import bindings, code_exchanges, nonces, sessions
from core.crypto import account_indexes
from core.kernel.callers import ChannelId
from core.kernel.clock import MINUTE
from core.kernel.refusals import TryAgainLater
from core.messaging import MessageKind, channel_messages, outbox
from core.unit_of_work import UnitOfWork

NONCE_LIFETIME = 10 * MINUTE
"""Twice the permitted skew of a platform's clock."""
KEY_LIFETIME = 10 * MINUTE


class ChannelEventType(StrEnum):
    LEFT = "LEFT"
    MESSAGE_DELIVERED = "MESSAGE_DELIVERED"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """`message_number` and `delivery` (the platform's word) are about a message that we sent."""

    channel: ChannelId
    type: ChannelEventType
    account: str = field(repr=False)
    key: str = field(repr=False)
    nonce: str
    message_number: str = ""
    delivery: str = ""


async def handle_channel_event(unit: UnitOfWork, event: ChannelEvent) -> bool:
    """False for a repeated event. Raises `TryAgainLater` for a delivery report that came too early."""
    if not await _is_new(unit, event):
        return False
    if event.type is ChannelEventType.LEFT:
        await _forget(unit, event)
    elif event.type is ChannelEventType.MESSAGE_DELIVERED:
        await _record_delivery(unit, event)
    return True


async def _is_new(unit: UnitOfWork, event: ChannelEvent) -> bool:
    """A nonce identifies one request, a key one event, which the platform may send again."""
    indexes = unit.dependencies.vault.indexes
    nonce = indexes(f"{event.channel}|{event.nonce}", "nonce")
    key = indexes(f"{event.channel}|{event.key}", "callback")
    return await _is_first(unit, "callback-nonce", nonce, NONCE_LIFETIME) and await _is_first(
        unit, "callback", key, KEY_LIFETIME
    )


async def _is_first(unit: UnitOfWork, scope: str, indexes: list[bytes], lifetime: int) -> bool:
    values = [index.hex() for index in indexes]
    return await nonces.use(unit.db, unit.writes, scope, values, unit.now + lifetime)


async def _record_delivery(unit: UnitOfWork, event: ChannelEvent) -> None:
    """A platform may report a delivery before the transaction with the message's number commits."""
    recorded = await channel_messages.record_delivery(
        unit.db, unit.writes, event.channel, event.message_number, event.delivery, unit.now
    )
    if not recorded:
        raise TryAgainLater(retry_after=1)


async def _forget(unit: UnitOfWork, event: ChannelEvent) -> None:
    """Erases the data of this channel's account: binding, account key, sessions, cached code
    exchanges, and messages whether sent, waiting or dead-lettered."""
    accounts = account_indexes(unit.dependencies.vault, event.channel, event.account)
    citizen_id = await bindings.citizen_of(unit.db, accounts)
    if citizen_id is not None:
        await audit.record(unit, citizen_id, Action.UNBOUND, channel=event.channel.value)
        bindings.erase(unit.writes, event.channel, accounts, citizen_id)
        await channel_messages.erase(unit.db, unit.writes, citizen_id, event.channel)
        await outbox.cancel(
            unit, citizen_id, MessageKind.CHANNEL_MESSAGE, {"channel": event.channel.value}
        )
    sessions.erase_account(unit.writes, event.channel, accounts, unit.now)
    code_exchanges.erase(unit.writes, accounts)
