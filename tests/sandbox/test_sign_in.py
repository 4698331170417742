"""What the sandbox hands to a front-end satisfies the gateway's own channel adapters."""

import time

import httpx
import pytest
import respx

from core.kernel.settings import Settings
from gateway.channels import CHANNELS
from gateway.channels.contract import Channel
from sandbox.personas import PERSONAS


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.id)
async def test_every_persona_is_identified_as_who_they_are(
    settings: Settings,
    sandbox: httpx.AsyncClient,
    gateway: respx.MockRouter,
    channel: type[Channel],
) -> None:
    url = "https://platform.test/authorize?state=abc123"
    gateway.post("/graphql").respond(json={"data": {"channel": {"authorizeUrl": url}}})
    adapter = channel(settings, sandbox)

    for persona in PERSONAS.values():
        asked = {"channel": channel.id, "persona": persona.id}
        handed = (await sandbox.post("/authorize", json=asked)).json()
        identity = await adapter.identify(handed["credential"], int(time.time() * 1000))

        assert identity.account == persona.account(channel.id)
        vouched = (identity.name, identity.social_security_number, identity.phone)
        known = (persona.name, persona.social_security_number, persona.phone)
        assert vouched == ((None, None, None) if adapter.binding_required else known)
