"""Which signer speaks to Ping An is a setting."""

import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest
import respx
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette

from core.kernel.callers import ChannelId
from core.kernel.refusals import ChannelUnavailable, SignInExpired
from core.kernel.settings import Settings, SettingsError
from gateway.channels import build_channels
from sandbox.personas import PERSONAS
from sandbox.platforms import authorize, platform_routes
from sandbox.settings import sandbox_settings
from sandbox.world import World

from .parts import NOW, settings

KEY = generate_private_key(public_exponent=65537, key_size=2048)
PKCS8 = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PEM = KEY.private_bytes(*PKCS8).decode()
OTHER_KIND = generate_ec_key(SECP256R1()).private_bytes(*PKCS8).decode()


async def test_rsa_signs_the_message(http: httpx.AsyncClient, wire: respx.Router) -> None:
    route = wire.post(url__regex=r".*/getInitCode\.do").respond(
        json={"code": "0", "success": True, "data": {"initCode": "init", "expiresIn": 60}}
    )
    given = settings(ping_an_signer="rsa", ping_an_private_key=PEM)

    bridge = await build_channels(given, http)[ChannelId.PING_AN].bridge("https://card.test/", NOW)

    sent = orjson.loads(route.calls.last.request.content)
    assert bridge["initCode"] == "init"
    signed = orjson.dumps(sent["message"])
    KEY.public_key().verify(base64.b64decode(sent["sign"]), signed, PKCS1v15(), SHA1())  # noqa: S303


RSA = {
    "ping_an_signer": "rsa",
    "ping_an_private_key": PEM,
    "ping_an_url": "http://sandbox.test/sandbox/platforms/ping-an",
}
ANOTHER_PEM = (
    generate_private_key(public_exponent=65537, key_size=2048).private_bytes(*PKCS8).decode()
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world.sqlite3")


@pytest.fixture
async def platform(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """The sandbox's Ping An, which knows our public key."""
    transport = httpx.ASGITransport(Starlette(routes=platform_routes(settings(**RSA), world)))
    async with httpx.AsyncClient(transport=transport) as client:
        yield client


async def test_a_citizen_signs_in_under_rsa_as_under_md5(
    platform: httpx.AsyncClient, world: World
) -> None:
    given, now = settings(**RSA), int(time.time() * 1000)
    channel, someone = build_channels(given, platform)[ChannelId.PING_AN], PERSONAS["active"]
    code = authorize(world, ChannelId.PING_AN, someone)

    identity = await channel.identify(code, now)
    bridge = await channel.bridge("https://card.test/", now)

    assert identity.account == someone.account(ChannelId.PING_AN)
    assert identity.social_security_number == someone.social_security_number
    assert len(bridge["initCode"]) == 32
    with pytest.raises(SignInExpired):
        await channel.identify(code, now)


@pytest.mark.parametrize("wrong", ["key", "app", "clock"])
async def test_the_platform_refuses_what_is_wrongly_signed(
    platform: httpx.AsyncClient, world: World, wrong: str
) -> None:
    changed = {"key": {"ping_an_private_key": ANOTHER_PEM}, "app": {"ping_an_app_id": "other"}}
    given = settings(**RSA | changed.get(wrong, {}))
    now = int(time.time() * 1000) - (301_000 if wrong == "clock" else 0)
    channel = build_channels(given, platform)[ChannelId.PING_AN]
    code = authorize(world, ChannelId.PING_AN, PERSONAS["active"])

    with pytest.raises(ChannelUnavailable):
        await channel.identify(code, now)
    with pytest.raises(ChannelUnavailable):
        await channel.bridge("https://card.test/", now)


def test_the_sandbox_draws_a_key_where_rsa_is_chosen(tmp_path: Path) -> None:
    given = {"objects_dir": tmp_path / "objects", "sandbox": True}

    md5 = sandbox_settings(Settings(**given))  # type: ignore[arg-type]
    rsa = sandbox_settings(Settings(ping_an_signer="rsa", **given))  # type: ignore[arg-type]

    assert md5.ping_an_private_key.reveal() == ""
    assert "PRIVATE KEY" in rsa.ping_an_private_key.reveal()
    assert rsa.missing() == []


async def test_md5_is_the_default(http: httpx.AsyncClient, wire: respx.Router) -> None:
    route = wire.post(url__regex=r".*/getInitCode\.do").respond(
        json={"code": 200, "data": {"initCode": "init", "expiresIn": 60}}
    )

    await build_channels(settings(), http)[ChannelId.PING_AN].bridge("https://card.test/", NOW)

    assert len(orjson.loads(route.calls.last.request.content)["cipherText"]) == 32


@pytest.mark.parametrize("pem", ["", "no key", OTHER_KIND], ids=["none", "garbage", "not RSA"])
def test_a_key_that_is_none_stops_the_start(http: httpx.AsyncClient, pem: str) -> None:
    given = settings(ping_an_signer="rsa", ping_an_private_key=pem)

    with pytest.raises(SettingsError, match="CARD_GATEWAY_PING_AN_PRIVATE_KEY must hold an RSA"):
        build_channels(given, http)


def test_only_the_key_of_the_chosen_signer_is_needed() -> None:
    md5 = settings(ping_an_app_key="", ping_an_private_key="").missing()
    rsa = settings(ping_an_signer="rsa", ping_an_app_key="", ping_an_private_key="").missing()

    assert "CARD_GATEWAY_PING_AN_APP_KEY" in md5
    assert "CARD_GATEWAY_PING_AN_PRIVATE_KEY" not in md5
    assert "CARD_GATEWAY_PING_AN_PRIVATE_KEY" in rsa
    assert "CARD_GATEWAY_PING_AN_APP_KEY" not in rsa
