import json
from pathlib import Path

import httpx
import pytest
import respx
from starlette.applications import Starlette
from starlette.routing import Mount

from core.kernel.callers import ChannelId
from core.kernel.settings import Settings
from core.partners import RegionMove, SmsMessage, build_partners
from sandbox.app import sandbox_routes
from sandbox.paths import world_file
from sandbox.personas import PERSONAS
from sandbox.world import World


def authorize_url(url: str | None) -> httpx.Response:
    return httpx.Response(200, json={"data": {"channel": {"authorizeUrl": url}}})


async def authorize(sandbox: httpx.AsyncClient, channel: str, persona: str) -> httpx.Response:
    return await sandbox.post("/authorize", json={"channel": channel, "persona": persona})


@pytest.mark.parametrize("channel", ["WECHAT", "UNIONPAY"])
async def test_hands_the_front_end_a_credential_and_the_gateways_state(
    sandbox: httpx.AsyncClient, gateway: respx.MockRouter, channel: str
) -> None:
    url = "https://platform.test/authorize?appId=a&state=abc123&scope=s#wechat_redirect"
    route = gateway.post("/graphql").mock(return_value=authorize_url(url))

    first = (await authorize(sandbox, channel, "active")).json()
    second = (await authorize(sandbox, channel, "active")).json()

    assert first["state"] == second["state"] == "abc123"
    assert first["credential"] != second["credential"]
    asked = json.loads(route.calls.last.request.content)
    assert asked["variables"] == {"c": channel, "r": "http://gateway.test/sandbox/"}


async def test_makes_up_a_state_for_a_platform_without_an_authorize_page(
    sandbox: httpx.AsyncClient, gateway: respx.MockRouter
) -> None:
    gateway.post("/graphql").mock(return_value=authorize_url(None))

    first = (await authorize(sandbox, "PING_AN", "active")).json()
    second = (await authorize(sandbox, "PING_AN", "active")).json()

    assert first["state"] != second["state"]
    assert first["credential"] != second["credential"]


@pytest.mark.parametrize("channel", list(ChannelId))
async def test_every_persona_can_agree_in_every_app(
    sandbox: httpx.AsyncClient, gateway: respx.MockRouter, channel: ChannelId
) -> None:
    gateway.post("/graphql").mock(return_value=authorize_url("https://platform.test/?state=a1"))

    for persona in PERSONAS:
        answer = (await authorize(sandbox, channel, persona)).json()
        assert set(answer) == {"credential", "state"}
        assert answer["credential"]


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        (httpx.ConnectError("down"), "The gateway could not be reached."),
        (httpx.Response(500, html="<html>"), "The gateway gave no authorize URL."),
        (httpx.Response(200, json={"data": None}), "The gateway gave no authorize URL."),
        (
            authorize_url("https://platform.test/?appId=a"),
            "The gateway gave an authorize URL without a state.",
        ),
    ],
)
async def test_says_so_when_the_gateway_gives_no_state(
    sandbox: httpx.AsyncClient,
    gateway: respx.MockRouter,
    response: httpx.Response | Exception,
    sentence: str,
) -> None:
    gateway.post("/graphql").mock(side_effect=[response])

    answer = await authorize(sandbox, "WECHAT", "active")

    assert (answer.status_code, answer.json()) == (502, {"error": sentence})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"channel": "WECHAT"}', 400),
        (b'{"channel": "wechat", "persona": "active"}', 400),
        (b'{"channel": "WECHAT", "persona": "nobody"}', 404),
    ],
)
async def test_says_what_is_wrong_with_a_request(
    sandbox: httpx.AsyncClient, body: bytes, status: int
) -> None:
    response = await sandbox.post("/authorize", content=body)

    assert response.status_code == status
    assert list(response.json()) == ["error"]


async def test_an_unknown_path_is_a_sentence_too(sandbox: httpx.AsyncClient) -> None:
    response = await sandbox.get("/no-such-door")

    assert (response.status_code, response.json()) == (404, {"error": "Not Found"})


async def test_platforms_lie_below_the_mount(
    settings: Settings, sandbox: httpx.AsyncClient
) -> None:
    for url in (settings.wechat_url, settings.unionpay_url, settings.ping_an_url):
        assert url.startswith("http://gateway.test/sandbox/platforms/")

    response = await sandbox.get(f"{settings.wechat_url}/sns/oauth2/access_token")

    assert response.json()["errcode"] == 40013


async def test_reset_starts_over(
    settings: Settings, sandbox: httpx.AsyncClient, gateway: respx.MockRouter, resets: list[str]
) -> None:
    gateway.post("/issuer/events").respond(200)
    persona = PERSONAS["other-city"]
    partners = build_partners(settings, sandbox)
    await partners.sms.send(SmsMessage(persona.phone, "通知", template="NOTICE"), "key-1")
    await partners.card_registry.move_region(
        RegionMove(persona.social_security_number, "SAMPLE079", "510700", "510100"), "key-2"
    )
    await sandbox.post("/issuer/advance", json={"persona": "in-production"})

    response = await sandbox.post("/reset")

    assert (response.status_code, response.json()) == (200, {"reset": True})
    assert resets == ["reset"]
    assert (await sandbox.get("/sms")).json() == []
    [card] = await partners.card_registry.cards_of(persona.social_security_number)
    assert card.region_code == "510700"
    assert not await partners.sms.outcome("key-1")
    advanced = await sandbox.post("/issuer/advance", json={"persona": "in-production"})
    assert advanced.json()["node"] == "MANUFACTURE"


async def test_the_world_survives_a_restart(settings: Settings, sandbox: httpx.AsyncClient) -> None:
    async def reset_gateway() -> None:
        """Nobody resets here."""

    partners = build_partners(settings, sandbox)
    await partners.sms.send(SmsMessage("19900001001", "通知", template="NOTICE"), "key-1")

    routes = sandbox_routes(settings, sandbox, reset_gateway)
    transport = httpx.ASGITransport(Starlette(routes=[Mount("/sandbox", routes=routes)]))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway.test/sandbox"
    ) as restarted:
        found = (await restarted.get("/sms")).json()

    assert [message["text"] for message in found] == ["通知"]
    assert len(World(world_file(settings)).all("orders")) == 1


async def test_serves_the_page(sandbox: httpx.AsyncClient) -> None:
    response = await sandbox.get("/")

    assert response.status_code in (200, 503)
    assert response.headers["Content-Type"].startswith("text/")


def test_the_world_lies_beside_the_pictures(settings: Settings, tmp_path: Path) -> None:
    assert world_file(settings).parent == tmp_path
