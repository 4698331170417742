"""Runs the service for a callback once; retries it if the callback was already answered."""

import asyncio

import structlog

from core.kernel.callers import ChannelId
from core.kernel.refusals import Refusal
from core.services.channel_events import ChannelEvent, handle_channel_event
from gateway.channels.contract.shapes import Notification, ServicePort

RETRY_SECONDS = (0.2, 1.0, 5.0)

log = structlog.get_logger("callbacks")


async def take(channel: ChannelId, notification: Notification, port: ServicePort) -> None:
    event = ChannelEvent(
        channel=channel,
        type=notification.type,
        account=notification.account,
        key=notification.key,
        nonce=notification.nonce,
        message_number=notification.message_number,
        delivery=notification.delivery,
    )
    new = await port.run(handle_channel_event, event)
    log.info("callback.taken", channel=channel.value, type=event.type.value, new=new)


async def handle_with_retries(
    channel: ChannelId, notification: Notification, port: ServicePort
) -> None:
    """Used after the callback was acknowledged, when the platform no longer retries it."""
    for wait in RETRY_SECONDS:
        try:
            return await take(channel, notification, port)
        except Refusal:
            log.warning("callback.postponed", channel=channel.value)
        await asyncio.sleep(wait)
    try:
        await take(channel, notification, port)
    except Refusal as refusal:
        log.error("callback.lost", channel=channel.value, reason=refusal.code.value)
