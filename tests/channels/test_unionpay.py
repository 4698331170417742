import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import orjson
import pytest
import respx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.kernel.clock import MINUTE
from core.kernel.refusals import (
    AuthorizationRequired,
    ChannelUnavailable,
    NotOfferedHere,
    RealNameRequired,
    Refusal,
    SignInExpired,
)
from gateway.channels.contract import ForgedCallback, Message, Undeliverable
from gateway.channels.unionpay import UnionPay
from gateway.channels.unionpay.crypto import (
    TripleDesFields,
    UnreadableField,
    signed_string,
    token_signature,
)
from sandbox.platforms import unionpay as platform

from .parts import NAME, NOW, PHONE, SYMMETRIC_KEY, settings, unionpay_field
from .samples.unionpay import BASE, SAMPLES, done, person

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
MESSAGE = Message("template-1", "社保卡可以领取", {"k1": "可领卡"}, "https://card.test/")
CARD = {"openId": "unionpay-open-id", "type": "example", "traceId": "trace-1"}


@pytest.fixture
def unionpay(http: httpx.AsyncClient) -> UnionPay:
    return UnionPay(settings(unionpay_public_key=PUBLIC), http, mini_program_id="mp1")


def answer(wire: respx.Router, **replies: Any) -> dict[str, respx.Route]:
    routes = {
        call.name: wire.post(call.url).respond(json=dict(call.reply)) for call in SAMPLES.calls
    }
    for name, reply in replies.items():
        routes[name.replace("_", ".")].respond(json=reply)
    return routes


def sent_to(route: respx.Route) -> list[dict[str, Any]]:
    return [orjson.loads(call.request.content) for call in route.calls]


# --- signing in ----------------------------------------------------------------------------


def test_authorize_page_asks_for_the_real_name(unionpay: UnionPay) -> None:
    parts = urlsplit(unionpay.authorize_url("https://card.test/back", "state1"))

    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == (
        "https://open.95516.com/s/open/html/oauth.html"
    )
    assert parse_qs(parts.query) == {
        "appId": ["up0000000000000001"],
        "redirectUri": ["https://card.test/back"],
        "responseType": ["code"],
        "scope": ["upapi_auth"],
        "state": ["state1"],
    }


@pytest.mark.parametrize(
    ("handed", "code"),
    [
        ("ab%2Bcd%2Fef%3D%3D", "ab+cd/ef=="),
        ("ab+cd/ef==", "ab+cd/ef=="),
        ("ab cd/ef==", "ab+cd/ef=="),
        ("+abcd", "+abcd"),
        ("ab%252Bcd", "ab%2Bcd"),
    ],
)
async def test_decodes_the_code_once_and_keeps_every_plus(
    unionpay: UnionPay, wire: respx.Router, handed: str, code: str
) -> None:
    routes = answer(wire)

    await unionpay.identify(handed, NOW)

    assert sent_to(routes["token"]) == [
        {
            "code": code,
            "grantType": "authorization_code",
            "appId": "up0000000000000001",
            "backendToken": "unionpay-backend-token",
        }
    ]


async def test_signs_the_secret_and_never_sends_it(unionpay: UnionPay, wire: respx.Router) -> None:
    routes = answer(wire)

    await unionpay.identify("code", NOW)

    (sent,) = sent_to(routes["backendToken"])
    signed = (
        f"appId=up0000000000000001&nonceStr={sent['nonceStr']}"
        f"&secret=unionpay-app-secret&timestamp={NOW // 1000}"
    )
    assert len(sent["nonceStr"]) == 16
    assert sent["signature"] == hashlib.sha256(signed.encode()).hexdigest()
    assert all(b"unionpay-app-secret" not in call.request.content for call in wire.calls)


def test_signature_is_stable() -> None:
    assert (
        token_signature("a", "n", "s", "1")
        == hashlib.sha256(b"appId=a&nonceStr=n&secret=s&timestamp=1").hexdigest()
    )


async def test_keeps_one_backend_token(unionpay: UnionPay, wire: respx.Router) -> None:
    routes = answer(wire)

    for number in range(5):
        await unionpay.identify(f"code{number}", NOW + number * MINUTE)

    assert routes["backendToken"].call_count == 1


@pytest.mark.parametrize("name", ["token", "user.auth", "user.mobile"])
async def test_renews_a_refused_backend_token_once(
    unionpay: UnionPay, wire: respx.Router, name: str
) -> None:
    routes = answer(wire)
    good = httpx.Response(200, json=next(dict(c.reply) for c in SAMPLES.calls if c.name == name))
    routes[name].mock(side_effect=[httpx.Response(200, json={"resp": "a10"}), good])
    routes["backendToken"].mock(
        side_effect=[
            httpx.Response(200, json=done(backendToken=token, expiresIn=7200))
            for token in ("old", "new")
        ]
    )

    identity = await unionpay.identify("code", NOW)

    assert identity == SAMPLES.identity
    assert [sent["backendToken"] for sent in sent_to(routes[name])] == ["old", "new"]


async def test_gives_up_when_the_renewed_token_is_refused_too(
    unionpay: UnionPay, wire: respx.Router
) -> None:
    routes = answer(wire, token={"resp": "a10"})

    with pytest.raises(ChannelUnavailable):
        await unionpay.identify("code", NOW)

    assert routes["token"].call_count == 2


async def test_reads_numbers_written_as_text(unionpay: UnionPay, wire: respx.Router) -> None:
    answer(wire, backendToken=done(backendToken="token", expiresIn="7200"))

    assert await unionpay.identify("code", NOW) == SAMPLES.identity


@pytest.mark.parametrize("code", ["N62135", "N62136", "N62197"])
async def test_signs_in_a_person_without_a_phone(
    unionpay: UnionPay, wire: respx.Router, code: str
) -> None:
    answer(wire, user_mobile={"resp": code})

    identity = await unionpay.identify("code", NOW)

    assert (identity.name, identity.phone) == (NAME, None)


async def test_takes_no_phone_of_another_country(unionpay: UnionPay, wire: respx.Router) -> None:
    answer(wire, user_mobile=done(mobile=unionpay_field("85291234567"), cntryPhoneCd="852"))

    identity = await unionpay.identify("code", NOW)

    assert identity.phone is None


async def test_reads_a_document_type_in_the_clear(unionpay: UnionPay, wire: respx.Router) -> None:
    answer(wire, user_auth={**person("01"), "params": {**_params(person("01")), "certTp": "01"}})

    assert await unionpay.identify("code", NOW) == SAMPLES.identity


def _params(reply: dict[str, object]) -> dict[str, object]:
    params = reply["params"]
    assert isinstance(params, dict)
    return params


async def test_tells_the_status_of_a_user(unionpay: UnionPay, wire: respx.Router) -> None:
    answer(wire)
    route = wire.post(BASE + "user.status").mock(
        side_effect=[
            httpx.Response(200, json=done(isRegister="1", isAuth="0")),
            httpx.Response(200, json={"resp": "BC2209"}),
        ]
    )

    status = await unionpay.user_status("open-id", NOW)

    assert (status.is_register, status.is_auth) == ("1", "0")
    assert sent_to(route)[0]["openId"] == "open-id"
    with pytest.raises(SignInExpired):
        await unionpay.user_status("open-id", NOW)


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (done(isRegister="1", isAuth="1"), AuthorizationRequired),
        (done(isRegister="1", isAuth="0"), RealNameRequired),
        (done(isRegister="0", isAuth=""), RealNameRequired),
        ({"resp": "N62131"}, AuthorizationRequired),
        ({"resp": "BC2209"}, AuthorizationRequired),
    ],
)
async def test_tells_who_did_not_agree_from_who_is_not_real_named(
    unionpay: UnionPay, wire: respx.Router, status: dict[str, object], refusal: type[Refusal]
) -> None:
    answer(wire, user_auth={"resp": "N62197"})
    asked = wire.post(BASE + "user.status").respond(json=status)

    with pytest.raises(refusal):
        await unionpay.identify("code", NOW)

    assert sent_to(asked)[0]["openId"] == "unionpay-open-id"


# --- encrypted fields ----------------------------------------------------------------------


def test_decrypts_a_field() -> None:
    assert TripleDesFields(SYMMETRIC_KEY).decrypt(unionpay_field(PHONE)) == PHONE


@pytest.mark.parametrize(
    "sealed",
    ["", "x", "AAAA", "not base64!", unionpay_field(PHONE)[:-4], unionpay_field(PHONE, "ab" * 24)],
)
def test_refuses_a_field_that_does_not_decrypt(sealed: str) -> None:
    with pytest.raises(UnreadableField):
        TripleDesFields(SYMMETRIC_KEY).decrypt(sealed)


def test_shows_no_key() -> None:
    assert SYMMETRIC_KEY not in repr(TripleDesFields(SYMMETRIC_KEY))


async def test_another_cipher_can_take_its_place(
    http: httpx.AsyncClient, wire: respx.Router
) -> None:
    class Clear:
        def decrypt(self, encrypted: str) -> str:
            return encrypted

    clear = done(realName=NAME, certTp="01", certId="51010419900307123x")
    answer(wire, user_auth=clear, user_mobile=done(mobile=PHONE))

    identity = await UnionPay(settings(), http, fields=Clear()).identify("code", NOW)

    assert identity == SAMPLES.identity


# --- messages ------------------------------------------------------------------------------


async def test_sends_a_message(unionpay: UnionPay, wire: respx.Router) -> None:
    answer(wire)
    route = wire.post(BASE + "applet.msg").respond(json=done(nid="n1", notificationNo="no1"))

    number = await unionpay.send("open-id", MESSAGE, NOW)

    assert number == "no1"
    assert sent_to(route) == [
        {
            "appId": "up0000000000000001",
            "backendToken": "unionpay-backend-token",
            "openId": "open-id",
            "mpId": "mp1",
            "templateId": "template-1",
            "desc": "社保卡可以领取",
            "uiType": "1",
            "destType": "html",
            "destInfo": "https://card.test/",
            "valueList": [{"key": "k1", "value": "可领卡"}],
        }
    ]


async def test_cuts_a_text_that_is_too_long(unionpay: UnionPay, wire: respx.Router) -> None:
    answer(wire)
    route = wire.post(BASE + "applet.msg").respond(json=done(nid="n1", notificationNo="no1"))

    await unionpay.send("open-id", Message("template-1", "长" * 300, {}), NOW)

    assert sent_to(route)[0]["desc"] == "长" * 200


@pytest.mark.parametrize("code", ["3023", "BC2209"])
async def test_says_when_a_message_can_never_arrive(
    unionpay: UnionPay, wire: respx.Router, code: str
) -> None:
    answer(wire)
    wire.post(BASE + "applet.msg").respond(json={"resp": code})

    with pytest.raises(Undeliverable):
        await unionpay.send("open-id", MESSAGE, NOW)


async def test_never_sends_a_message_twice(unionpay: UnionPay, wire: respx.Router) -> None:
    answer(wire)
    route = wire.post(BASE + "applet.msg").mock(side_effect=httpx.ReadTimeout("slow"))

    with pytest.raises(ChannelUnavailable):
        await unionpay.send("open-id", MESSAGE, NOW)

    assert route.call_count == 1


async def test_sends_nothing_without_a_mini_program(http: httpx.AsyncClient) -> None:
    with pytest.raises(NotOfferedHere):
        await UnionPay(settings(), http).send("open-id", MESSAGE, NOW)


# --- notifications -------------------------------------------------------------------------


def form(body: bytes) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(body.decode()).items()}


def test_reads_a_signed_notification(unionpay: UnionPay) -> None:
    body = platform.notification(settings(), CARD, KEY, NOW // 1000)

    sent = unionpay.verify_callback({}, body, NOW)

    assert (sent.event, sent.account, sent.key) == ("example", "unionpay-open-id", "trace-1")
    assert sent.nonce == form(body)["nonceStr"]


def test_the_order_of_the_fields_does_not_matter(unionpay: UnionPay) -> None:
    fields = form(platform.notification(settings(), CARD, KEY, NOW // 1000))

    sent = unionpay.verify_callback({}, urlencode(dict(reversed(fields.items()))).encode(), NOW)

    assert sent.fields == fields


@pytest.mark.parametrize("minutes", [-6, 6])
def test_refuses_a_stale_notification(unionpay: UnionPay, minutes: int) -> None:
    body = platform.notification(settings(), CARD, KEY, NOW // 1000)

    with pytest.raises(ForgedCallback):
        unionpay.verify_callback({}, body, NOW + minutes * MINUTE)

    assert unionpay.verify_callback({}, body, NOW + 5 * MINUTE)


def test_refuses_a_notification_for_another_app(unionpay: UnionPay) -> None:
    other = settings(unionpay_app_id="up2")

    with pytest.raises(ForgedCallback):
        unionpay.verify_callback({}, platform.notification(other, CARD, KEY, NOW // 1000), NOW)


def test_refuses_a_notification_under_another_key(unionpay: UnionPay) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    with pytest.raises(ForgedCallback):
        unionpay.verify_callback(
            {}, platform.notification(settings(), CARD, other, NOW // 1000), NOW
        )


def test_refuses_a_field_moved_into_the_value_before_it(unionpay: UnionPay) -> None:
    fields = form(platform.notification(settings(), CARD, KEY, NOW // 1000))
    merged = {**fields, "traceId": f"{fields['traceId']}&type={fields['type']}"}
    del merged["type"]

    with pytest.raises(ForgedCallback):
        unionpay.verify_callback({}, urlencode(merged).encode(), NOW)

    assert signed_string(merged) == signed_string(fields)


def test_refuses_a_value_moved_into_its_name(unionpay: UnionPay) -> None:
    noted = {**CARD, "note": "a=b"}
    fields = form(platform.notification(settings(), noted, KEY, NOW // 1000))
    renamed = {**{key: value for key, value in fields.items() if key != "note"}, "note=a": "b"}

    with pytest.raises(ForgedCallback):
        unionpay.verify_callback({}, urlencode(renamed).encode(), NOW)

    assert signed_string(renamed) == signed_string(fields)
    assert unionpay.verify_callback({}, urlencode(fields).encode(), NOW).fields["note"] == "a=b"


@pytest.mark.parametrize("damage", ["none", "twice", "padding", "not base64", "no signature"])
def test_refuses_a_signature_written_differently(unionpay: UnionPay, damage: str) -> None:
    fields = form(platform.notification(settings(), CARD, KEY, NOW // 1000))
    signature = base64.b64decode(fields["signature"])
    loose = fields["signature"][:-3] + chr(ord(fields["signature"][-3]) + 1) + "=="
    bodies = {
        "none": urlencode({**fields, "signature": ""}),
        "twice": "openId=victim&" + urlencode(fields),
        "padding": urlencode({**fields, "signature": loose}),
        "not base64": urlencode({**fields, "signature": signature.hex()}),
        "no signature": urlencode({k: v for k, v in fields.items() if k != "signature"}),
    }

    with pytest.raises(ForgedCallback):
        unionpay.verify_callback({}, bodies[damage].encode(), NOW)

    assert unionpay.verify_callback({}, urlencode(fields).encode(), NOW)


def test_refuses_notifications_loudly_while_no_key_is_configured(
    http: httpx.AsyncClient,
) -> None:
    with pytest.raises(NotOfferedHere):
        UnionPay(settings(), http).verify_callback({}, b"a=b", NOW)
