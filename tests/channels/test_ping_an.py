import base64
import hashlib
from typing import Any

import httpx
import orjson
import pytest
import respx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from core.kernel.clock import MINUTE
from core.kernel.refusals import ChannelUnavailable, SignInExpired
from gateway.channels.contract import Message
from gateway.channels.ping_an import PingAn
from gateway.channels.ping_an.signers import Md5Signer, RsaSigner

from .parts import NOW, settings
from .samples.ping_an import BASE, SAMPLES, done

REFUSED = {"code": 500, "msg": "no", "data": None}


@pytest.fixture
def ping_an(http: httpx.AsyncClient) -> PingAn:
    return PingAn(settings(), http)


def answer(wire: respx.Router) -> dict[str, respx.Route]:
    return {call.name: wire.post(call.url).respond(json=dict(call.reply)) for call in SAMPLES.calls}


def sent_to(route: respx.Route) -> list[dict[str, Any]]:
    return [orjson.loads(call.request.content) for call in route.calls]


async def test_walks_the_modelled_steps(ping_an: PingAn, wire: respx.Router) -> None:
    routes = answer(wire)

    await ping_an.identify("request-code", NOW)

    assert sent_to(routes["getAccessToken"]) == [
        {"appId": "pa0000000000000001", "authCode": "ping-an-auth-code"}
    ]
    assert sent_to(routes["checkRequestCode"]) == [
        {
            "appId": "pa0000000000000001",
            "requestCode": "request-code",
            "accessToken": "ping-an-access-token",
        }
    ]
    assert sent_to(routes["getUserInfo"]) == [{"userAccessToken": "ping-an-user-token"}]


async def test_shares_the_app_token(ping_an: PingAn, wire: respx.Router) -> None:
    routes = answer(wire)

    for number in range(5):
        await ping_an.identify(f"code{number}", NOW)

    assert routes["getAccessToken"].call_count == 1


async def test_tries_a_refused_code_once_more_under_a_new_token(
    ping_an: PingAn, wire: respx.Router
) -> None:
    routes = answer(wire)
    routes["getAccessToken"].mock(
        side_effect=[
            httpx.Response(200, json=done(accessToken=token, expiresIn=7200))
            for token in ("old", "new")
        ]
    )
    await ping_an.identify("code1", NOW)
    good = httpx.Response(200, json=dict(SAMPLES.calls[2].reply))
    routes["checkRequestCode"].mock(side_effect=[httpx.Response(200, json=REFUSED), good])

    identity = await ping_an.identify("code2", NOW + 2 * MINUTE)

    assert identity == SAMPLES.identity
    used = [sent["accessToken"] for sent in sent_to(routes["checkRequestCode"])]
    assert used == ["old", "old", "new"]


async def test_forged_codes_do_not_make_us_fetch_token_after_token(
    ping_an: PingAn, wire: respx.Router
) -> None:
    routes = answer(wire)
    routes["checkRequestCode"].respond(json=REFUSED)

    for number in range(20):
        with pytest.raises(SignInExpired):
            await ping_an.identify(f"forged{number}", NOW + number)

    assert routes["getAccessToken"].call_count == 1
    assert routes["checkRequestCode"].call_count == 20


async def test_gives_the_page_its_init_code(ping_an: PingAn, wire: respx.Router) -> None:
    route = wire.post(BASE + "initCode/getInitCode.do").mock(
        side_effect=[
            httpx.Response(200, json=done(initCode="init-code", expiresIn=7200)),
            httpx.Response(200, json=REFUSED),
        ]
    )

    setup = await ping_an.bridge("https://card.test/", NOW)

    assert setup == {"appId": "pa0000000000000001", "initCode": "init-code"}
    assert set(sent_to(route)[0]) == {"appId", "timestamp", "randomSeries", "cipherText"}
    with pytest.raises(ChannelUnavailable):
        await ping_an.bridge("https://card.test/", NOW)


async def test_sends_a_message_once(ping_an: PingAn, wire: respx.Router) -> None:
    answer(wire)
    route = wire.post(BASE + "message/sendMessage.do").mock(
        side_effect=[
            httpx.Response(200, json=done(messageId="m1")),
            httpx.ReadTimeout("slow"),
        ]
    )
    message = Message("template-1", "可领卡", {}, "https://card.test/")

    assert await ping_an.send("open-id", message, NOW) == "m1"
    with pytest.raises(ChannelUnavailable):
        await ping_an.send("open-id", message, NOW)
    assert route.call_count == 2


def test_signs_with_md5_over_joined_names_and_values() -> None:
    body = Md5Signer("app", "key").body(NOW)

    signed = f"appIdappappKeykeyrandomSeries{body['randomSeries']}timestamp{NOW}"
    assert body["cipherText"] == hashlib.md5(signed.encode()).hexdigest()  # noqa: S324
    assert body["timestamp"] == str(NOW)
    assert len(body["randomSeries"]) == 10
    assert "key" not in repr(Md5Signer("app", "key"))


async def test_signs_with_rsa_where_the_contract_says_so(
    http: httpx.AsyncClient, wire: respx.Router
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    signer = RsaSigner("app", pem)
    for call in SAMPLES.calls:
        data = call.reply["data"]
        wire.post(call.url).respond(
            json={"code": 0, "success": True, "message": "ok", "data": data}
        )

    identity = await PingAn(settings(), http, signer=signer).identify("code", NOW)
    body = signer.body(NOW)

    assert identity == SAMPLES.identity
    assert body["message"]["timestamp"] == "20260921221320"
    key.public_key().verify(
        base64.b64decode(body["sign"]),
        orjson.dumps(body["message"]),
        PKCS1v15(),
        SHA1(),  # noqa: S303
    )
    assert signer.accepted({"success": True}) is True
    assert signer.accepted({"success": "true", "code": 200}) is False
