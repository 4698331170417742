"""Messages that the platforms delivered to their users, for the sandbox page and for tests."""

import secrets
from datetime import datetime

from core.kernel.callers import ChannelId
from core.kernel.clock import CHINA
from sandbox.personas import PERSONAS, Persona
from sandbox.world import Thing, World

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
        "at": world.clock(),
    }
    world.put(MESSAGES, number, message)
    return number


def messages(world: World) -> list[Thing]:
    """As `GET /sandbox/messages` lists them, newest first."""
    return [_shown(message) for message in reversed(world.all(MESSAGES))]


def messages_to(world: World, channel: ChannelId, persona: Persona) -> list[Thing]:
    """As they were delivered, newest first."""
    account = persona.account(channel)
    return [
        message
        for message in reversed(world.all(MESSAGES))
        if (message["channel"], message["account"]) == (channel.value, account)
    ]


def _shown(message: Thing) -> Thing:
    return {
        "number": message["id"],
        "channel": message["channel"],
        "persona": _persona_of(message),
        "template": message["template"],
        "text": message["text"] or "\n".join(message["values"].values()),
        "values": message["values"],
        "url": message["url"],
        "at": datetime.fromtimestamp(message["at"] / 1000, CHINA).isoformat(
            timespec="milliseconds"
        ),
    }


def _persona_of(message: Thing) -> str | None:
    channel = ChannelId(message["channel"])
    accounts = {persona.account(channel): persona.id for persona in PERSONAS.values()}
    return accounts.get(message["account"])
