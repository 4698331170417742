import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
import pytest
import respx

from core.kernel.clock import MINUTE
from core.kernel.refusals import ChannelUnavailable, InvalidFormat, SignInExpired, VirtualAccount
from gateway.channels.contract import Message, Undeliverable
from gateway.channels.platform_client.ttl_cache import MAX_ENTRIES
from gateway.channels.wechat import MenuInvalid, WeChat, build_menu
from gateway.channels.wechat.adapter import CODE_LIFETIME
from tests.clock import Clock

from .parts import NOW, settings
from .samples.wechat import EXCHANGED

EXCHANGE = "https://wechat.test/sns/oauth2/access_token"
TOKEN = "https://wechat.test/cgi-bin/stable_token"
TICKET = "https://wechat.test/cgi-bin/ticket/getticket"
SEND = "https://wechat.test/cgi-bin/message/template/send"
MENU = "https://wechat.test/cgi-bin/menu/create"
USED = {"errcode": 40163, "errmsg": "code been used"}
MESSAGE = Message("template-1", "可领卡", {"first": "您的社保卡可以领取"}, "https://card.test/")


@pytest.fixture
def wechat(http: httpx.AsyncClient) -> WeChat:
    return WeChat(settings(), http)


def tokens(wire: respx.Router, *values: str) -> respx.Route:
    replies = [
        httpx.Response(200, json={"access_token": value, "expires_in": 7200}) for value in values
    ]
    return wire.post(TOKEN).mock(side_effect=replies)


# --- signing in ----------------------------------------------------------------------------


def test_authorize_page_asks_silently_and_carries_the_state(wechat: WeChat) -> None:
    url = wechat.authorize_url("https://card.test/back", "state1")

    parts = urlsplit(url)
    assert parts.fragment == "wechat_redirect"
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == (
        "https://open.weixin.qq.com/connect/oauth2/authorize"
    )
    assert parse_qs(parts.query) == {
        "appid": ["wx0000000000000001"],
        "redirect_uri": ["https://card.test/back"],
        "response_type": ["code"],
        "scope": ["snsapi_base"],
        "state": ["state1"],
    }


async def test_exchanges_the_code_as_documented(wechat: WeChat, wire: respx.Router) -> None:
    wire.get(url__startswith=EXCHANGE).respond(json=EXCHANGED)

    await wechat.identify("code1", NOW)

    assert dict(wire.calls.last.request.url.params) == {
        "appid": "wx0000000000000001",
        "secret": "wechat-app-secret",
        "code": "code1",
        "grant_type": "authorization_code",
    }


async def test_the_second_call_of_a_browser_gets_the_first_answer(
    wechat: WeChat, wire: respx.Router
) -> None:
    first_then_used = [httpx.Response(200, json=EXCHANGED), httpx.Response(200, json=USED)]
    route = wire.get(url__startswith=EXCHANGE).mock(side_effect=first_then_used)

    first = await wechat.identify("code1", NOW)
    second = await wechat.identify("code1", NOW + CODE_LIFETIME - 1)

    assert second == first
    assert route.call_count == 1


async def test_two_calls_at_once_become_one_exchange(wechat: WeChat, wire: respx.Router) -> None:
    async def slowly(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.02)
        return httpx.Response(200, json=EXCHANGED)

    route = wire.get(url__startswith=EXCHANGE).mock(side_effect=slowly)

    first, second = await asyncio.gather(
        wechat.identify("code1", NOW), wechat.identify("code1", NOW)
    )

    assert first == second
    assert route.call_count == 1


async def test_the_second_call_is_answered_though_the_first_browser_left(
    wechat: WeChat, wire: respx.Router
) -> None:
    async def slowly(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.02)
        return httpx.Response(200, json=EXCHANGED)

    route = wire.get(url__startswith=EXCHANGE).mock(side_effect=slowly)
    first = asyncio.create_task(wechat.identify("code1", NOW))
    await asyncio.sleep(0.01)
    first.cancel()

    second = await wechat.identify("code1", NOW)

    assert second.account == EXCHANGED["openid"]
    assert route.call_count == 1


async def test_forgets_an_answer_when_its_code_is_over(wechat: WeChat, wire: respx.Router) -> None:
    first_then_used = [httpx.Response(200, json=EXCHANGED), httpx.Response(200, json=USED)]
    wire.get(url__startswith=EXCHANGE).mock(side_effect=first_then_used)
    clock = wechat._exchanged._monotonic = Clock()
    await wechat.identify("code1", NOW)

    clock.now += CODE_LIFETIME
    with pytest.raises(SignInExpired):
        await wechat.identify("code1", NOW)


@pytest.mark.slow
async def test_keeps_no_more_answers_than_agreed(wechat: WeChat, wire: respx.Router) -> None:
    wire.get(url__startswith=EXCHANGE).respond(json=EXCHANGED)

    for number in range(MAX_ENTRIES + 10):
        await wechat.identify(f"code{number}", NOW)

    assert len(wechat._exchanged) == MAX_ENTRIES


async def test_a_code_of_another_citizen_has_its_own_answer(
    wechat: WeChat, wire: respx.Router
) -> None:
    replies = [httpx.Response(200, json={**EXCHANGED, "openid": name}) for name in ("one", "two")]
    wire.get(url__startswith=EXCHANGE).mock(side_effect=replies)

    one, two = await wechat.identify("code1", NOW), await wechat.identify("code2", NOW)

    assert (one.account, two.account) == ("one", "two")


async def test_a_virtual_account_is_refused_both_times(wechat: WeChat, wire: respx.Router) -> None:
    virtual = httpx.Response(200, json={**EXCHANGED, "is_snapshotuser": 1})
    wire.get(url__startswith=EXCHANGE).mock(side_effect=[virtual, httpx.Response(200, json=USED)])

    for _ in range(2):
        with pytest.raises(VirtualAccount):
            await wechat.identify("code1", NOW)


async def test_a_failed_exchange_is_not_remembered(wechat: WeChat, wire: respx.Router) -> None:
    replies = [httpx.Response(500), httpx.Response(200, json=EXCHANGED)]
    wire.get(url__startswith=EXCHANGE).mock(side_effect=replies)
    with pytest.raises(ChannelUnavailable):
        await wechat.identify("code1", NOW)

    identity = await wechat.identify("code1", NOW)

    assert identity.account == EXCHANGED["openid"]


async def test_a_busy_platform_is_asked_again(wechat: WeChat, wire: respx.Router) -> None:
    busy = httpx.Response(200, json={"errcode": -1, "errmsg": "system error"})
    wire.get(url__startswith=EXCHANGE).mock(side_effect=[busy, httpx.Response(200, json=EXCHANGED)])

    identity = await wechat.identify("code1", NOW)

    assert identity.account == EXCHANGED["openid"]


# --- the app token -------------------------------------------------------------------------


@pytest.mark.parametrize("code", [40001, 40014, 42001])
async def test_renews_a_refused_app_token_once(
    wechat: WeChat, wire: respx.Router, code: int
) -> None:
    route = tokens(wire, "old", "old", "new")
    replies = [
        httpx.Response(200, json={"errcode": code, "errmsg": "no"}),
        httpx.Response(200, json={"errcode": 0, "errmsg": "ok", "msgid": 7}),
    ]
    sent = wire.post(url__startswith=SEND).mock(side_effect=replies)

    number = await wechat.send("openid", MESSAGE, NOW)

    assert number == "7"
    assert [orjson.loads(call.request.content)["force_refresh"] for call in route.calls] == [
        False,
        False,
        True,
    ]
    assert [call.request.url.params["access_token"] for call in sent.calls] == ["old", "new"]


async def test_gives_up_when_the_renewed_token_is_refused_too(
    wechat: WeChat, wire: respx.Router
) -> None:
    tokens(wire, "old", "new")
    sent = wire.post(url__startswith=SEND).respond(json={"errcode": 40001, "errmsg": "no"})

    with pytest.raises(ChannelUnavailable):
        await wechat.send("openid", MESSAGE, NOW)

    assert sent.call_count == 2


async def test_other_refusals_renew_nothing(wechat: WeChat, wire: respx.Router) -> None:
    route = tokens(wire, "old")
    wire.post(url__startswith=SEND).respond(json={"errcode": 45009, "errmsg": "quota"})

    with pytest.raises(ChannelUnavailable) as caught:
        await wechat.send("openid", MESSAGE, NOW)

    assert caught.value.retry_after == 60
    assert route.call_count == 1


# --- messages ------------------------------------------------------------------------------


async def test_sends_a_template_message(wechat: WeChat, wire: respx.Router) -> None:
    tokens(wire, "token")
    route = wire.post(url__startswith=SEND).respond(json={"errcode": 0, "msgid": 200228332})

    number = await wechat.send("openid", MESSAGE, NOW)

    assert number == "200228332"
    assert orjson.loads(route.calls.last.request.content) == {
        "touser": "openid",
        "template_id": "template-1",
        "url": "https://card.test/",
        "data": {"first": {"value": "您的社保卡可以领取"}},
    }


@pytest.mark.parametrize("code", [40003, 43004, 43101, 45015])
async def test_says_when_a_message_can_never_arrive(
    wechat: WeChat, wire: respx.Router, code: int
) -> None:
    tokens(wire, "token")
    wire.post(url__startswith=SEND).respond(json={"errcode": code, "errmsg": "no"})

    with pytest.raises(Undeliverable) as caught:
        await wechat.send("openid", MESSAGE, NOW)

    assert caught.value.code == str(code)


async def test_never_sends_a_message_twice(wechat: WeChat, wire: respx.Router) -> None:
    tokens(wire, "token")
    route = wire.post(url__startswith=SEND).mock(side_effect=httpx.ReadTimeout("slow"))

    with pytest.raises(ChannelUnavailable):
        await wechat.send("openid", MESSAGE, NOW)

    assert route.call_count == 1


# --- the page and the menu -----------------------------------------------------------------


async def test_signs_the_page_for_the_js_sdk_with_one_ticket(
    wechat: WeChat, wire: respx.Router
) -> None:
    tokens(wire, "token")
    route = wire.get(url__startswith=TICKET).respond(
        json={"errcode": 0, "ticket": "ticket", "expires_in": 7200}
    )

    first = await wechat.bridge("https://card.test/page#part", NOW)
    await wechat.bridge("https://card.test/page", NOW + MINUTE)

    assert route.call_count == 1
    assert first["appId"] == "wx0000000000000001"
    assert first["timestamp"] == str(NOW // 1000)
    assert len(first["signature"]) == 40


async def test_signs_no_page_of_others(wechat: WeChat, wire: respx.Router) -> None:
    with pytest.raises(InvalidFormat) as caught:
        await wechat.bridge("https://evil.test/", NOW)

    assert caught.value.field == "pageUrl"
    assert wire.calls.call_count == 0


async def test_pushes_the_guides_menu_in_raw_utf_8(wechat: WeChat, wire: respx.Router) -> None:
    tokens(wire, "token")
    route = wire.post(url__startswith=MENU).respond(json={"errcode": 0, "errmsg": "ok"})

    await wechat.push_menu(build_menu("https://card.test/bind", "https://card.test/"), NOW)

    assert route.calls.last.request.content.decode() == (
        '{"button":[{"name":"微服务","sub_button":['
        '{"type":"view","name":"社保查询","url":"https://card.test/bind"},'
        '{"type":"view","name":"新社保卡","url":"https://card.test/"}]}]}'
    )


def view(name: str = "查询", url: str = "https://card.test/") -> dict[str, Any]:
    return {"type": "view", "name": name, "url": url}


@pytest.mark.parametrize(
    "menu",
    [
        {},
        {"button": []},
        {"button": [view()] * 4},
        {"button": [{"name": "微服务", "sub_button": []}]},
        {"button": [{"name": "微服务", "sub_button": [view()] * 6}]},
        {"button": [{"name": "微" * 6, "sub_button": [view()]}]},
        {"button": [{"name": "", "sub_button": [view()]}]},
        {"button": [{"name": "微服务", "sub_button": [view("查" * 21)]}]},
        {"button": [view(url="https://card.test/" + "a" * 1010)]},
        {"button": [view(url="card.test")]},
        {"button": [{"type": "click", "name": "查询", "key": "k"}]},
    ],
    ids=range(11),
)
async def test_pushes_no_menu_beyond_the_limits(
    wechat: WeChat, wire: respx.Router, menu: dict[str, Any]
) -> None:
    with pytest.raises(MenuInvalid):
        await wechat.push_menu(menu, NOW)

    assert wire.calls.call_count == 0


@pytest.mark.parametrize(
    "menu",
    [
        {"button": [view()] * 3},
        {"button": [{"name": "微" * 5, "sub_button": [view("查" * 20)] * 5}]},
        {"button": [view(url="https://card.test/" + "a" * 1006)]},
    ],
    ids=range(3),
)
async def test_pushes_a_menu_at_the_limits(
    wechat: WeChat, wire: respx.Router, menu: dict[str, Any]
) -> None:
    tokens(wire, "token")
    route = wire.post(url__startswith=MENU).respond(json={"errcode": 0, "errmsg": "ok"})

    await wechat.push_menu(menu, NOW)

    assert route.call_count == 1
