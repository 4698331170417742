"""Every error code that the platforms' documentation lists, where a citizen or a message meets it."""

from typing import Any

import httpx
import pytest
import respx
from structlog.testing import capture_logs

from core.kernel.refusals import AuthorizationRequired, ChannelUnavailable, Refusal, SignInExpired
from core.kernel.texts import Language
from gateway.channels.contract import Channel, Message, Undeliverable
from gateway.channels.unionpay import UnionPay
from gateway.channels.wechat import WeChat

from .parts import NOW, settings
from .samples import unionpay, wechat

Outcome = type[Exception]
MESSAGE = Message("template", "社保卡可以领取", {"content": "可领卡"}, "https://card.test/")
RENEWED = "renewed once, then unavailable"

# Code: what a citizen is told who signs in, and what becomes of a message to them.
WECHAT: dict[int, tuple[Outcome, Outcome | str]] = {
    -1: (ChannelUnavailable, ChannelUnavailable),
    40001: (ChannelUnavailable, RENEWED),
    40003: (ChannelUnavailable, Undeliverable),
    40014: (ChannelUnavailable, RENEWED),
    40016: (ChannelUnavailable, ChannelUnavailable),
    40029: (SignInExpired, ChannelUnavailable),
    40163: (SignInExpired, ChannelUnavailable),
    40164: (ChannelUnavailable, ChannelUnavailable),
    42001: (ChannelUnavailable, RENEWED),
    43004: (ChannelUnavailable, Undeliverable),
    43101: (ChannelUnavailable, Undeliverable),
    45009: (ChannelUnavailable, ChannelUnavailable),
    45015: (ChannelUnavailable, Undeliverable),
}
UNIONPAY: dict[str, tuple[Outcome | None, Outcome | str]] = {
    "a10": (ChannelUnavailable, RENEWED),
    "a31": (SignInExpired, ChannelUnavailable),
    "BC0024": (ChannelUnavailable, ChannelUnavailable),
    "SG0024": (ChannelUnavailable, ChannelUnavailable),
    "BC0025": (ChannelUnavailable, ChannelUnavailable),
    "N60025": (ChannelUnavailable, ChannelUnavailable),
    "SG0025": (ChannelUnavailable, ChannelUnavailable),
    "N62131": (ChannelUnavailable, ChannelUnavailable),
    "N62197": (AuthorizationRequired, ChannelUnavailable),
    "3023": (SignInExpired, Undeliverable),
    "BC2209": (SignInExpired, Undeliverable),
    "BC2126": (ChannelUnavailable, ChannelUnavailable),
    "N62135": (None, ChannelUnavailable),
    "N62136": (None, ChannelUnavailable),
}


def mentioned_by(outcome: Refusal) -> bool:
    return all("{" not in outcome.message(language) for language in Language)


@pytest.mark.parametrize("code", WECHAT)
async def test_wechat_at_the_exchange_of_a_code(
    http: httpx.AsyncClient, wire: respx.Router, code: int
) -> None:
    route = wire.get(wechat.SAMPLES.calls[0].url).respond(json={"errcode": code, "errmsg": "no"})

    with pytest.raises(Refusal) as caught:
        await WeChat(settings(), http).identify("code", NOW)

    assert type(caught.value) is WECHAT[code][0]
    assert mentioned_by(caught.value)
    assert route.call_count == (2 if code == -1 else 1)
    assert (caught.value.retry_after or 0) == {45009: 60}.get(
        code, 5 if WECHAT[code][0] is ChannelUnavailable else 0
    )


@pytest.mark.parametrize("code", WECHAT)
async def test_wechat_at_a_message(http: httpx.AsyncClient, wire: respx.Router, code: int) -> None:
    tokens: respx.Route = wire.post("https://wechat.test/cgi-bin/stable_token").mock(
        side_effect=lambda _: _json(access_token=f"t{tokens.call_count}", expires_in=7200)
    )
    sent = wire.post(url__startswith="https://wechat.test/cgi-bin/message/template/send")
    sent.respond(json={"errcode": code, "errmsg": "no"})

    await _ends_as(WeChat(settings(), http), WECHAT[code][1])

    renewed = WECHAT[code][1] == RENEWED
    assert (tokens.call_count, sent.call_count) == (
        (2, 2) if renewed else (1, 2 if code == -1 else 1)
    )


@pytest.mark.parametrize("code", UNIONPAY)
async def test_unionpay_where_a_citizen_signs_in(
    http: httpx.AsyncClient, wire: respx.Router, code: str
) -> None:
    expected, _ = UNIONPAY[code]
    for call in (*unionpay.SAMPLES.calls, *unionpay.SAMPLES.others):
        wire.post(call.url).respond(json=dict(call.reply))
    refusing = {"a31": "token", "N62135": "user.mobile", "N62136": "user.mobile"}
    wire.post(unionpay.BASE + refusing.get(code, "user.auth")).respond(json={"resp": code})

    if expected is None:
        assert (await UnionPay(settings(), http).identify("code", NOW)).phone is None
        return
    with pytest.raises(Refusal) as caught:
        await UnionPay(settings(), http).identify("code", NOW)

    assert type(caught.value) is expected
    assert mentioned_by(caught.value)


@pytest.mark.parametrize("code", UNIONPAY)
async def test_unionpay_at_a_message(
    http: httpx.AsyncClient, wire: respx.Router, code: str
) -> None:
    tokens: respx.Route = wire.post(unionpay.BASE + "backendToken").mock(
        side_effect=lambda _: _json(
            resp="00", params={"backendToken": f"t{tokens.call_count}", "expiresIn": 7200}
        )
    )
    sent = wire.post(unionpay.BASE + "applet.msg").respond(json={"resp": code, "msg": "no"})

    await _ends_as(UnionPay(settings(), http, mini_program_id="mp1"), UNIONPAY[code][1])

    renewed = UNIONPAY[code][1] == RENEWED
    assert (tokens.call_count, sent.call_count) == ((2, 2) if renewed else (1, 1))


async def _ends_as(channel: Channel, outcome: Outcome | str) -> None:
    """What an operator must see is logged with the platform's own code."""
    expected = ChannelUnavailable if isinstance(outcome, str) else outcome
    with capture_logs() as logged, pytest.raises(expected):
        await channel.send("account", MESSAGE, NOW)
    assert bool(logged) is (expected is ChannelUnavailable)


def _json(**reply: Any) -> httpx.Response:
    return httpx.Response(200, json=reply)
