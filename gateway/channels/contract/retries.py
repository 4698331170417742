"""Takes what a platform told us, once; where the platform does not wait for it, patiently."""

import asyncio

import structlog

from core.kernel.callers import ChannelId
from core.kernel.refusals import Refusal
from core.services.channel_events import ChannelEvent, handle_channel_event
from gateway.channels.contract.shapes import Notification, ServicePort

WAITS_SECONDS = (0.2, 1.0, 5.0)

log = structlog.get_logger("callbacks")


async def take(channel: ChannelId, told: Notification, door: ServicePort) -> None:
    event = ChannelEvent(
        channel=channel,
        type=told.type,
        account=told.account,
        key=told.key,
        nonce=told.nonce,
        message_number=told.message_number,
        delivery=told.delivery,
    )
    new = await door.run(handle_channel_event, event)
    log.info("callback.taken", channel=channel.value, type=event.type.value, new=new)


async def handle_with_retries(channel: ChannelId, told: Notification, door: ServicePort) -> None:
    """The platform will not repeat: what fails is tried again here."""
    for wait in WAITS_SECONDS:
        try:
            return await take(channel, told, door)
        except Refusal:
            log.warning("callback.postponed", channel=channel.value)
        await asyncio.sleep(wait)
    try:
        await take(channel, told, door)
    except Refusal as refusal:
        log.error("callback.lost", channel=channel.value, reason=refusal.code.value)
