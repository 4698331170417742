"""Which signer speaks to Ping An is a setting."""

import base64

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

from core.callers import ChannelId
from core.settings import SettingsError
from gateway.channels import build_channels

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
