"""The platform's published vectors, and what a forger or a replayer gets."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.kernel.clock import MINUTE
from gateway.channels.contract import ForgedCallback
from gateway.channels.wechat import WeChat
from gateway.channels.wechat.adapter import js_sdk_signature
from gateway.channels.wechat.callback import Callback, CallbackCipher, read_message, sign
from sandbox.platforms import wechat as platform

from .parts import NOW, settings

VECTORS: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parent / "data" / "wechat_vectors.json").read_text()
)
AES_KEY = base64.b64encode(bytes(range(32))).decode().rstrip("=")
SUBSCRIBE = {
    "ToUserName": "gh_account",
    "FromUserName": "openid",
    "CreateTime": str(NOW // 1000),
    "MsgType": "event",
    "Event": "subscribe",
}
TEXT = {
    "ToUserName": "gh_account",
    "FromUserName": "openid",
    "CreateTime": str(NOW // 1000),
    "MsgType": "text",
    "Content": "社保卡 <&>",
    "MsgId": "24105",
}


def wechat(**changed: Any) -> WeChat:
    return WeChat(settings(**changed), httpx.AsyncClient(verify=False))  # noqa: S501 - never calls


def of_vector(name: str) -> WeChat:
    vector = VECTORS[name]
    return wechat(wechat_token=vector["token"], wechat_app_id=vector.get("appid", "wx1"))


def cipher(vector: dict[str, str]) -> CallbackCipher:
    return CallbackCipher(vector["encoding_aes_key"], vector["appid"])


# --- published vectors ---------------------------------------------------------------------


def test_vector_url_check() -> None:
    vector = VECTORS["url_check"]

    answer = of_vector("url_check").check_url(vector, int(vector["timestamp"]) * 1000)

    assert answer == vector["echostr"]


def test_vector_plain_mode() -> None:
    vector = VECTORS["plain"]
    body = b"<xml><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>"

    sent = of_vector("plain").verify_callback(vector, body, int(vector["timestamp"]) * 1000)

    assert sent.account == "o1"


def test_vector_secure_mode_in() -> None:
    vector = VECTORS["secure_inbound"]

    message = cipher(vector).decrypt(vector["encrypt"])

    assert message.decode() == vector["message"]
    assert vector["msg_signature"] == sign(
        vector["token"], vector["timestamp"], vector["nonce"], vector["encrypt"]
    )


def test_vector_secure_mode_out() -> None:
    vector = VECTORS["secure_reply"]

    encrypted = cipher(vector).encrypt(vector["message"].encode(), vector["random"].encode())

    assert encrypted == vector["encrypt"]
    assert vector["msg_signature"] == sign(
        vector["token"], vector["timestamp"], vector["nonce"], vector["encrypt"]
    )


def test_vector_js_sdk() -> None:
    vector = VECTORS["js_sdk"]

    signature = js_sdk_signature(
        vector["jsapi_ticket"], vector["noncestr"], vector["timestamp"], vector["url"]
    )

    assert signature == vector["signature"]


def test_js_sdk_signs_without_the_fragment() -> None:
    with_fragment = js_sdk_signature("t", "n", "1", "https://card.test/?a=b#c")

    assert with_fragment == js_sdk_signature("t", "n", "1", "https://card.test/?a=b")


# --- genuine messages ----------------------------------------------------------------------


@pytest.mark.parametrize("aes_key", ["", AES_KEY], ids=["plain", "secure"])
def test_reads_an_event(aes_key: str) -> None:
    channel = wechat(wechat_aes_key=aes_key)
    query, body = platform.callback(settings(wechat_aes_key=aes_key), SUBSCRIBE, NOW // 1000)

    sent = channel.verify_callback(query, body, NOW)

    assert (sent.event, sent.account, sent.nonce) == ("subscribe", "openid", query["nonce"])
    assert sent.fields == {**SUBSCRIBE, "nonce": query["nonce"]}


def test_a_retry_has_the_same_key_and_another_event_has_not() -> None:
    channel, now = wechat(), NOW // 1000
    first = channel.verify_callback(*platform.callback(settings(), SUBSCRIBE, now), NOW)
    retry = channel.verify_callback(*platform.callback(settings(), SUBSCRIBE, now + 5), NOW)
    left = {**SUBSCRIBE, "Event": "unsubscribe"}
    other = channel.verify_callback(*platform.callback(settings(), left, now), NOW)
    text = channel.verify_callback(*platform.callback(settings(), TEXT, now), NOW)

    assert first.key == retry.key
    assert first.nonce != retry.nonce
    assert other.key != first.key
    assert (text.event, text.key) == ("text", "24105")


def test_answers_in_the_mode_in_which_it_is_spoken_to() -> None:
    page = "https://card.test/?a=1&b=<2>"
    plain = wechat(wechat_card_url=page)
    secure = wechat(wechat_card_url=page, wechat_aes_key=AES_KEY)
    sent = plain.verify_callback(*platform.callback(settings(), TEXT, NOW // 1000), NOW)

    open_reply = read_message(plain.reply(sent, NOW).body)
    sealed = read_message(secure.reply(sent, NOW).body)
    cipher = CallbackCipher(AES_KEY, "wx0000000000000001")

    assert open_reply == {
        "ToUserName": "openid",
        "FromUserName": "gh_account",
        "CreateTime": str(NOW // 1000),
        "MsgType": "text",
        "Content": (
            "社会保障卡线上服务：公众号菜单栏 → 微服务 → 新社保卡。"
            f"{page} 首次使用请先绑卡（微服务 → 社保查询）。"
        ),
    }
    assert read_message(cipher.decrypt(sealed["Encrypt"])) == open_reply
    assert sealed["MsgSignature"] == sign(
        "wechatcallbacktoken", sealed["TimeStamp"], sealed["Nonce"], sealed["Encrypt"]
    )


@pytest.mark.parametrize("length", range(0, 70))
def test_messages_of_every_length_survive_the_32_byte_padding(length: int) -> None:
    vector = VECTORS["secure_reply"]
    message = b"m" * length

    encrypted = cipher(vector).encrypt(message, b"r" * 16)

    assert cipher(vector).decrypt(encrypted) == message
    assert len(base64.b64decode(encrypted)) % 32 == 0


# --- forged ones ---------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24])
def test_refuses_a_stale_call(minutes: int) -> None:
    query, body = platform.callback(settings(), SUBSCRIBE, NOW // 1000)
    check = platform.url_check(settings(), NOW // 1000)

    with pytest.raises(ForgedCallback):
        wechat().verify_callback(query, body, NOW + minutes * MINUTE)
    with pytest.raises(ForgedCallback):
        wechat().check_url(check, NOW + minutes * MINUTE)

    assert wechat().verify_callback(query, body, NOW + 5 * MINUTE).event == "subscribe"
    assert wechat().check_url(check, NOW - 5 * MINUTE) == check["echostr"]


@pytest.mark.parametrize("missing", ["signature", "timestamp", "nonce"])
def test_refuses_a_call_without_its_signature(missing: str) -> None:
    query, body = platform.callback(settings(), SUBSCRIBE, NOW // 1000)
    del query[missing]

    with pytest.raises(ForgedCallback):
        wechat().verify_callback(query, body, NOW)


def test_refuses_everything_while_no_token_is_configured() -> None:
    unset = settings(wechat_token="")
    query, body = platform.callback(unset, SUBSCRIBE, NOW // 1000)

    with pytest.raises(ForgedCallback):
        wechat(wechat_token="").verify_callback(query, body, NOW)


def test_refuses_the_plain_mode_once_a_key_is_configured() -> None:
    query, body = platform.callback(settings(), SUBSCRIBE, NOW // 1000)

    with pytest.raises(ForgedCallback):
        wechat(wechat_aes_key=AES_KEY).verify_callback(query, body, NOW)


def test_trusts_only_the_encrypted_part_of_a_mixed_message() -> None:
    keyed = settings(wechat_aes_key=AES_KEY)
    query, body = platform.callback(keyed, SUBSCRIBE, NOW // 1000)
    mixed = body.replace(b"</xml>", b"<FromUserName>victim</FromUserName></xml>")

    sent = wechat(wechat_aes_key=AES_KEY).verify_callback(query, mixed, NOW)

    assert sent.account == "openid"


def test_refuses_a_message_for_another_account() -> None:
    other = settings(wechat_aes_key=AES_KEY, wechat_app_id="wx0000000000000002")
    query, body = platform.callback(other, SUBSCRIBE, NOW // 1000)

    with pytest.raises(ForgedCallback):
        wechat(wechat_aes_key=AES_KEY).verify_callback(query, body, NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<xml>",
        b"<xml/>",
        b"<xml><FromUserName>a</FromUserName></xml>",
        b"<xml><MsgType>event</MsgType></xml>",
        b"<xml><FromUserName>a</FromUserName><FromUserName>b</FromUserName>"
        b"<MsgType>text</MsgType></xml>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><xml><FromUserName>&a;</FromUserName>'
        b"<MsgType>text</MsgType></xml>",
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><FromUserName>&a;'
        b"</FromUserName><MsgType>text</MsgType></xml>",
        b'<!DOCTYPE x SYSTEM "http://evil.test/x.dtd"><xml><FromUserName>a</FromUserName>'
        b"<MsgType>text</MsgType></xml>",
        b"\xff\xfe\x00",
        "<xml><FromUserName>a".encode("utf-16"),
        b"<xml>" * 20_000,
    ],
    ids=range(13),
)
def test_refuses_a_body_that_is_no_message(body: bytes) -> None:
    query, good = platform.callback(settings(), SUBSCRIBE, NOW // 1000)

    with pytest.raises(ForgedCallback):
        wechat().verify_callback(query, body, NOW)

    assert wechat().verify_callback(query, good, NOW).event == "subscribe"


def test_expands_no_entities() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "ha">{levels}]><xml><MsgType>&e11;</MsgType></xml>'

    with pytest.raises(ForgedCallback):
        read_message(bomb.encode())


def test_shows_no_key() -> None:
    assert "AAAA" not in repr(cipher(VECTORS["secure_reply"]))
    assert "token" not in repr(Callback("token", AES_KEY, "wx1"))
