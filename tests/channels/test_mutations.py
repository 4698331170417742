"""Thousands of changed signed messages, none of which may be taken for genuine."""

import base64
import hashlib
import random
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.channels.contract import ForgedCallback
from gateway.channels.unionpay import UnionPay
from gateway.channels.unionpay.crypto import signed_string
from gateway.channels.wechat import WeChat
from gateway.channels.wechat.callback import read_message
from sandbox.platforms import unionpay as unionpay_platform
from sandbox.platforms import wechat as wechat_platform

from .parts import NOW, settings

Fields = dict[str, str]

EACH = 4_000
AES_KEY = base64.b64encode(bytes(range(32))).decode().rstrip("=")
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
SETTINGS = settings(wechat_aes_key=AES_KEY, unionpay_public_key=PUBLIC)
EVENT = {
    "ToUserName": "gh_account",
    "FromUserName": "openid",
    "CreateTime": str(NOW // 1000),
    "MsgType": "event",
    "Event": "unsubscribe",
}
NOTICE = {"openId": "open-id", "type": "example", "traceId": "trace-1", "note": "社保 a=b"}
LETTERS = "abcXYZ0189+/=%&;<>\x00é卡 "


def mutations(fields: Fields, count: int, seed: int) -> Iterator[Fields]:
    """Changed copies, each different from the original in at least one field."""
    chance = random.Random(seed)
    made = 0
    while made < count:
        changed = chance.choice(CHANGES)(dict(fields), chance)
        if changed != fields:
            made += 1
            yield changed


def _text(change: Callable[[str, random.Random], str]) -> Callable[[Fields, random.Random], Fields]:
    def apply(fields: Fields, chance: random.Random) -> Fields:
        key = chance.choice(sorted(fields))
        return {**fields, key: change(fields[key], chance)}

    return apply


def _replaced(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + chance.choice(LETTERS) + text[at + 1 :]


def _inserted(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(LETTERS) + text[at:]


def _deleted(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + text[at + 1 :]


def _swapped(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[at:] + text[:at]


def _moved_border(fields: Fields, chance: random.Random) -> Fields:
    one, other = chance.sample(sorted(fields), 2)
    cut = chance.randrange(1, len(fields[one]) + 1)
    return {**fields, one: fields[one][:-cut], other: fields[one][-cut:] + fields[other]}


def _exchanged(fields: Fields, chance: random.Random) -> Fields:
    one, other = chance.sample(sorted(fields), 2)
    return {**fields, one: fields[other], other: fields[one]}


def _dropped(fields: Fields, chance: random.Random) -> Fields:
    gone = chance.choice(sorted(fields))
    return {key: value for key, value in fields.items() if key != gone}


CHANGES: list[Callable[[Fields, random.Random], Fields]] = [
    _text(_replaced),
    _text(_replaced),
    _text(_inserted),
    _text(_deleted),
    _text(_swapped),
    _text(lambda text, _: text.upper()),
    _text(lambda text, _: text.swapcase()),
    _text(lambda text, _: ""),
    _text(lambda text, _: text + text),
    _text(lambda text, chance: text[: chance.randrange(len(text))]),
    _text(lambda text, _: f" {text}"),
    _moved_border,
    _exchanged,
    _dropped,
]


# --- the four signed messages, as fields ---------------------------------------------------


@pytest.fixture(scope="module")
def wechat() -> WeChat:
    return WeChat(SETTINGS, httpx.AsyncClient(verify=False))  # noqa: S501 - never calls


@pytest.fixture(scope="module")
def unionpay() -> UnionPay:
    return UnionPay(SETTINGS, httpx.AsyncClient(verify=False))  # noqa: S501 - never calls


def is_accepted(verify: Callable[[], object]) -> bool:
    try:
        verify()
    except ForgedCallback:
        return False
    return True


def secure(channel: WeChat, fields: Fields) -> bool:
    query = {key: value for key, value in fields.items() if key != "Encrypt"}
    encrypted = fields.get("Encrypt", "").replace("&", "&amp;").replace("<", "&lt;")
    body = f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode()
    return is_accepted(lambda: channel.verify_callback(query, body, NOW))


def secure_fields() -> Fields:
    query, body = wechat_platform.callback(SETTINGS, EVENT, NOW // 1000)
    signed = {key: query[key] for key in ("timestamp", "nonce", "msg_signature")}
    return {**signed, "Encrypt": read_message(body)["Encrypt"]}


def test_no_changed_secure_message_of_wechat_is_accepted(wechat: WeChat) -> None:
    genuine = secure_fields()

    accepted = [changed for changed in mutations(genuine, EACH, 1) if secure(wechat, changed)]

    assert accepted == []
    assert secure(wechat, genuine)


def test_no_changed_address_check_of_wechat_is_accepted(wechat: WeChat) -> None:
    checked = wechat_platform.url_check(SETTINGS, NOW // 1000)
    genuine = {key: checked[key] for key in ("timestamp", "nonce", "signature")}

    accepted = [
        changed
        for changed in mutations(genuine, EACH, 2)
        if is_accepted(lambda changed=changed: wechat.check_url(changed, NOW))  # type: ignore[misc]
    ]

    assert accepted == []
    assert is_accepted(lambda: wechat.check_url(genuine, NOW))


@pytest.mark.slow
def test_no_changed_notification_of_unionpay_is_accepted(unionpay: UnionPay) -> None:
    genuine = notice()

    accepted = [changed for changed in mutations(genuine, EACH, 3) if notified(unionpay, changed)]

    assert accepted == []
    assert notified(unionpay, genuine)


def test_a_byte_changed_on_the_wire_is_refused_or_says_the_same(unionpay: UnionPay) -> None:
    chance = random.Random(4)
    genuine = urlencode(notice()).encode()
    said = []

    for _ in range(EACH):
        at = chance.randrange(len(genuine))
        changed = genuine[:at] + bytes([chance.randrange(256)]) + genuine[at + 1 :]
        if is_accepted(lambda changed=changed: unionpay.verify_callback({}, changed, NOW)):  # type: ignore[misc]
            said.append(dict(parse_qsl(changed.decode())))

    assert all(each == notice_of(genuine) for each in said)
    assert notified(unionpay, notice_of(genuine))


def notice() -> Fields:
    return notice_of(unionpay_platform.notification(SETTINGS, NOTICE, KEY, NOW // 1000))


def notice_of(body: bytes) -> Fields:
    return dict(parse_qsl(body.decode()))


def notified(channel: UnionPay, fields: Fields) -> bool:
    return is_accepted(lambda: channel.verify_callback({}, urlencode(fields).encode(), NOW))


# --- keys and algorithms -------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "wechatcallbacktoke", "Wechatcallbacktoken", "x"])
def test_a_message_signed_with_another_token_is_refused(wechat: WeChat, token: str) -> None:
    other = settings(wechat_aes_key=AES_KEY, wechat_token=token)
    query, body = wechat_platform.callback(other, EVENT, NOW // 1000)

    assert not is_accepted(lambda: wechat.verify_callback(query, body, NOW))


@pytest.mark.parametrize("algorithm", [hashlib.md5, hashlib.sha256, hashlib.sha512])
def test_a_message_signed_with_another_algorithm_is_refused(
    wechat: WeChat, algorithm: Callable[[bytes], "hashlib._Hash"]
) -> None:
    fields = secure_fields()
    parts = [fields["timestamp"], fields["nonce"], fields["Encrypt"], "wechatcallbacktoken"]
    joined = "".join(sorted(parts)).encode()

    assert not secure(wechat, {**fields, "msg_signature": algorithm(joined).hexdigest()})
    assert secure(wechat, {**fields, "msg_signature": hashlib.sha1(joined).hexdigest()})  # noqa: S324


def test_the_plain_signature_does_not_open_the_secure_mode(wechat: WeChat) -> None:
    query, body = wechat_platform.callback(SETTINGS, EVENT, NOW // 1000)
    forged = {**query, "msg_signature": query["signature"]}

    assert not is_accepted(lambda: wechat.verify_callback(forged, body, NOW))
    assert is_accepted(lambda: wechat.verify_callback(query, body, NOW))


@pytest.mark.parametrize("algorithm", [MD5(), SHA1()], ids=["md5", "sha1"])  # noqa: S303
def test_a_notification_signed_with_another_algorithm_is_refused(
    unionpay: UnionPay, algorithm: MD5 | SHA1
) -> None:
    fields = notice()

    weak = KEY.sign(signed_string(fields).encode(), PKCS1v15(), algorithm)
    strong = KEY.sign(signed_string(fields).encode(), PKCS1v15(), SHA256())

    assert not notified(unionpay, {**fields, "signature": base64.b64encode(weak).decode()})
    assert notified(unionpay, {**fields, "signature": base64.b64encode(strong).decode()})
