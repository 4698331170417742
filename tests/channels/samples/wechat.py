from collections.abc import Callable
from dataclasses import replace
from typing import Any

from core.kernel.callers import ChannelId, RealNameLevel
from core.kernel.refusals import ChannelUnavailable, SignInExpired, VirtualAccount
from core.kernel.settings import Secret, Settings
from gateway.channels.contract import Identity
from sandbox.personas import PERSONAS
from sandbox.platforms import wechat as platform

from .shape import Call, Callbacks, Make, Refused, Samples, Sent

EXCHANGED = {
    "access_token": "wechat-user-access-token",
    "expires_in": 7200,
    "refresh_token": "wechat-user-refresh-token",
    "openid": "oWeChatOpenIdOfAPerson",
    "scope": "snsapi_base",
}


def _refused(code: int, refusal: type) -> Refused:
    return Refused("access_token", {"errcode": code, "errmsg": "no"}, refusal)


def _left(settings: Settings, at: int) -> Sent:
    return platform.callback(
        settings,
        {
            "ToUserName": "gh_sandbox",
            "FromUserName": PERSONAS["active"].account(ChannelId.WECHAT),
            "CreateTime": str(at),
            "MsgType": "event",
            "Event": "unsubscribe",
        },
        at,
    )


def _signed_with(**changed: Any) -> Make:
    return lambda settings, at: _left(replace(settings, **changed), at)


def _with_query(**changed: str | None) -> Make:
    def make(settings: Settings, at: int) -> Sent:
        query, body = _left(settings, at)
        merged = {**query, **changed}
        return {name: value for name, value in merged.items() if value is not None}, body

    return make


def _with_body(change: Callable[[bytes], bytes]) -> Make:
    def make(settings: Settings, at: int) -> Sent:
        query, body = _left(settings, at)
        return query, change(body)

    return make


def _byte_changed(body: bytes) -> bytes:
    at = body.index(b"<Encrypt>") + 60
    return body[:at] + (b"A" if body[at : at + 1] != b"A" else b"B") + body[at + 1 :]


CALLBACKS = Callbacks(
    make=_left,
    taken=b"success",
    forged={
        "another token": _signed_with(wechat_token=Secret("other")),
        "no token": _signed_with(wechat_token=Secret("")),
        "another key": _signed_with(wechat_aes_key=Secret("A" * 43)),
        "another account": _signed_with(wechat_app_id="wx-other"),
        "plain": _signed_with(wechat_aes_key=Secret("")),
        "no signature": _with_query(msg_signature=None),
        "an empty signature": _with_query(msg_signature=""),
        "the plain mode's signature": lambda settings, at: (
            _left(settings, at)[0] | {"msg_signature": _left(settings, at)[0]["signature"]},
            _left(settings, at)[1],
        ),
    },
    tampered={
        "a byte": _with_body(_byte_changed),
        "the nonce": _with_query(nonce="1"),
        "the time": lambda settings, at: (
            _left(settings, at - 9)[0] | {"timestamp": str(at)},
            _left(settings, at - 9)[1],
        ),
        "the body of another": lambda settings, at: (
            _left(settings, at)[0],
            _left(settings, at)[1],
        ),
        "entities": _with_body(lambda body: b'<!DOCTYPE x [<!ENTITY a "b">]>' + body),
    },
)

SAMPLES = Samples(
    settings={
        "wechat_url": "https://wechat.test",
        "wechat_app_id": "wx0000000000000001",
        "wechat_secret": "wechat-app-secret",
        "wechat_token": "wechatcallbacktoken",
        "wechat_aes_key": "",
        "wechat_redirect_domains": "card.test, localhost",
    },
    credential="wechat-one-time-code",
    identity=Identity("oWeChatOpenIdOfAPerson", RealNameLevel.NONE, 7200),
    calls=(
        Call(
            "access_token",
            "GET",
            "https://wechat.test/sns/oauth2/access_token",
            EXCHANGED,
            repeatable=False,
        ),
    ),
    used=_refused(40163, SignInExpired),
    refusals=(
        _refused(40029, SignInExpired),
        _refused(40163, SignInExpired),
        _refused(-1, ChannelUnavailable),
        _refused(40001, ChannelUnavailable),
        _refused(40003, ChannelUnavailable),
        _refused(40164, ChannelUnavailable),
        _refused(42001, ChannelUnavailable),
        _refused(45009, ChannelUnavailable),
        _refused(99999, ChannelUnavailable),
        Refused("access_token", {**EXCHANGED, "is_snapshotuser": 1}, VirtualAccount),
    ),
    secrets=(
        "wechat-app-secret",
        "wechat-one-time-code",
        "wechat-user-access-token",
        "wechat-user-refresh-token",
        "oWeChatOpenIdOfAPerson",
    ),
    callbacks=CALLBACKS,
)
