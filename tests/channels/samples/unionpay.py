import re
import secrets
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.refusals import (
    AuthorizationRequired,
    ChannelUnavailable,
    RealNameRequired,
    SignInExpired,
)
from core.kernel.settings import Settings
from gateway.channels.contract import Identity
from sandbox.keys import unionpay_key
from sandbox.personas import PERSONAS
from sandbox.platforms import unionpay as platform

from ..parts import NAME, NUMBER, PHONE, SYMMETRIC_KEY, unionpay_field
from .shape import Call, Callbacks, Make, Refused, Samples, Sent

BASE = "https://unionpay.test/open/access/1.0/"


def done(**params: object) -> dict[str, object]:
    return {"resp": "00", "msg": "成功", "params": params}


def person(certificate: str, name: str = NAME, number: str = NUMBER) -> dict[str, object]:
    return done(
        realName=unionpay_field(name) if name else "",
        certTp=unionpay_field(certificate),
        certId=unionpay_field(number) if number else "",
    )


def _refused(call: str, code: str, refusal: type) -> Refused:
    return Refused(call, {"resp": code, "msg": "no"}, refusal)


OTHER_KEY = generate_private_key(public_exponent=65537, key_size=2048)


def _left(settings: Settings, at: int, key: RSAPrivateKey | None = None, **changed: str) -> Sent:
    fields = {
        "type": "AUTH_CANCELLED",
        "openId": PERSONAS["active"].account(ChannelId.UNIONPAY),
        "traceId": secrets.token_hex(8),
        **changed,
    }
    return {}, platform.notification(settings, fields, key or unionpay_key(settings), at)


def _changed(change: Callable[[bytes], bytes]) -> Make:
    return lambda settings, at: ({}, change(_left(settings, at)[1]))


def _without(name: str) -> Make:
    return _changed(lambda body: re.sub(rb"&?\b%s=[^&]*" % name.encode(), b"", body))


def _hidden(body: bytes) -> bytes:
    """The signed string stays as it was: the platform joins fields without marking borders."""
    fields = dict(parse_qsl(body.decode()))
    fields["nonceStr"] += f"&openId={fields.pop('openId')}"
    return urlencode(fields).encode()


CALLBACKS = Callbacks(
    make=_left,
    taken=b'{"resp":"00"}',
    forged={
        "another key": lambda settings, at: _left(settings, at, OTHER_KEY),
        "another app": lambda settings, at: _left(settings, at, appId="other"),
        "no signature": _without("signature"),
        "an empty signature": _changed(
            lambda body: re.sub(b"signature=[^&]*", b"signature=", body)
        ),
        "no nonce": lambda settings, at: _left(settings, at, nonceStr=""),
    },
    tampered={
        "a value": _changed(lambda body: body.replace(b"AUTH_CANCELLED", b"AUTH_CANCELLEE")),
        "a field more": _changed(lambda body: body + b"&more=1"),
        "a field twice": _changed(lambda body: body + b"&type=AUTH_CANCELLED"),
        "a field less": _without("traceId"),
        "the time": _changed(
            lambda body: re.sub(b"timestamp=[0-9]+", b"timestamp=1790000000", body)
        ),
        "a field hidden in the one before": _changed(_hidden),
    },
)

SAMPLES = Samples(
    settings={
        "unionpay_url": "https://unionpay.test",
        "unionpay_app_id": "up0000000000000001",
        "unionpay_secret": "unionpay-app-secret",
        "unionpay_symmetric_key": SYMMETRIC_KEY,
        "unionpay_redirect_domains": "card.test",
    },
    credential="uni%2Bpay%2Fcode%3D%3D",
    identity=Identity("unionpay-open-id", RealNameLevel.PLATFORM, 3600, NAME, NUMBER, PHONE),
    calls=(
        Call(
            "backendToken",
            "POST",
            BASE + "backendToken",
            done(backendToken="unionpay-backend-token", expiresIn=7200),
            repeatable=True,
            fetches_token=True,
        ),
        Call(
            "token",
            "POST",
            BASE + "token",
            done(
                accessToken="unionpay-access-token",
                expiresIn=3600,
                openId="unionpay-open-id",
                unionId="unionpay-union-id",
                scope="upapi_auth",
                refreshToken="unionpay-refresh-token",
            ),
            repeatable=False,
        ),
        Call("user.auth", "POST", BASE + "user.auth", person("01"), repeatable=True),
        Call(
            "user.mobile",
            "POST",
            BASE + "user.mobile",
            done(mobile=unionpay_field(PHONE), cntryPhoneCd="86"),
            repeatable=True,
        ),
    ),
    used=_refused("token", "a31", SignInExpired),
    refusals=(
        _refused("token", "a31", SignInExpired),
        _refused("token", "3023", SignInExpired),
        _refused("token", "BC2209", SignInExpired),
        _refused("token", "a10", ChannelUnavailable),
        _refused("backendToken", "BC0024", ChannelUnavailable),
        _refused("backendToken", "SG0024", ChannelUnavailable),
        _refused("backendToken", "BC0025", ChannelUnavailable),
        _refused("backendToken", "N60025", ChannelUnavailable),
        _refused("backendToken", "SG0025", ChannelUnavailable),
        _refused("backendToken", "BC2126", ChannelUnavailable),
        _refused("user.auth", "N62131", ChannelUnavailable),
        _refused("user.auth", "N62197", AuthorizationRequired),
        _refused("user.auth", "3023", SignInExpired),
        _refused("user.mobile", "BC2209", SignInExpired),
        _refused("user.auth", "unheard-of", ChannelUnavailable),
        Refused("user.auth", person("03"), RealNameRequired),
        Refused("user.auth", person("04"), RealNameRequired),
        Refused("user.auth", person("05"), RealNameRequired),
        Refused("user.auth", person("01", name=""), RealNameRequired),
        Refused("user.auth", person("01", number=""), RealNameRequired),
        Refused("user.auth", done(realName="", certTp="", certId=""), RealNameRequired),
        Refused("user.auth", done(realName="AAAA", certTp="01", certId="x"), ChannelUnavailable),
    ),
    secrets=(
        "unionpay-app-secret",
        "0123456789abcdef23456789abcdef01456789abcdef0123",
        "uni%2Bpay",
        "uni+pay",
        "unionpay-backend-token",
        "unionpay-access-token",
        "unionpay-refresh-token",
        "unionpay-open-id",
        "unionpay-union-id",
        NAME,
        NUMBER,
        PHONE,
    ),
    others=(
        Call(
            "user.status",
            "POST",
            BASE + "user.status",
            done(isRegister="1", isAuth="1", certType="01"),
            repeatable=True,
        ),
    ),
    callbacks=CALLBACKS,
)
