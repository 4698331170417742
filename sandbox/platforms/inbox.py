"""Messages that the platforms delivered, newest last, for people and tests to look at."""

import secrets

from core.callers import ChannelId
from sandbox.platforms.clock import milliseconds
from sandbox.world import World

MESSAGES = "messages"


def deliver(
    world: World,
    channel: ChannelId,
    account: str,
    template: str,
    values: dict[str, str],
    url: str,
    *,
    text: str = "",
) -> str:
    """Returns the platform's number of the message, digits only."""
    number = str(secrets.randbelow(9 * 10**17) + 10**17)
    message = {
        "id": number,
        "channel": channel.value,
        "account": account,
        "template": template,
        "text": text,
        "values": values,
        "url": url,
        "at": milliseconds(),
    }
    world.put(MESSAGES, number, message)
    return number
