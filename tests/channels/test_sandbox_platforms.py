"""The adapters against the sandbox's platforms, which verify as the real ones do."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from core.kernel.callers import ChannelId
from core.kernel.refusals import ChannelUnavailable, SignInExpired, VirtualAccount
from gateway.channels import CHANNELS, build_channels
from gateway.channels.contract import Channel, Message, Undeliverable
from gateway.channels.unionpay import UnionPay
from gateway.channels.wechat import WeChat, build_menu
from sandbox.personas import PERSONAS
from sandbox.platforms import authorize, platform_routes
from sandbox.world import World

from .parts import settings

BASE = "http://sandbox.test/sandbox/platforms"
URLS = {
    "wechat_url": f"{BASE}/wechat",
    "unionpay_url": f"{BASE}/unionpay",
    "ping_an_url": f"{BASE}/ping-an",
    "wechat_authorize_url": f"{BASE}/wechat/connect/oauth2/authorize",
    "unionpay_authorize_url": f"{BASE}/unionpay/s/open/html/oauth.html",
}
SANDBOX = settings(**URLS)
ACTIVE = PERSONAS["active"]
WRONG = {
    "wechat app": {"wechat_app_id": "wx-other"},
    "wechat secret": {"wechat_secret": "other"},
    "unionpay app": {"unionpay_app_id": "up-other"},
    "unionpay secret": {"unionpay_secret": "other"},
    "unionpay key": {"unionpay_symmetric_key": "ab" * 24},
    "ping an app": {"ping_an_app_id": "pa-other"},
    "ping an key": {"ping_an_app_key": "other"},
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world.sqlite3")


@pytest.fixture
async def sandbox(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=platform_routes(SANDBOX, world)))
    async with httpx.AsyncClient(transport=transport) as client:
        yield client


@pytest.fixture
def channel(kind: type[Channel], sandbox: httpx.AsyncClient) -> Channel:
    return build_channels(SANDBOX, sandbox)[kind.id]


@pytest.fixture
def now() -> int:
    return int(time.time() * 1000)


@pytest.mark.parametrize("persona", PERSONAS.values(), ids=PERSONAS)
async def test_signs_in_every_persona(
    channel: Channel, world: World, now: int, persona: object
) -> None:
    someone = PERSONAS[next(key for key, value in PERSONAS.items() if value is persona)]

    identity = await channel.identify(authorize(world, channel.id, someone), now)

    assert identity.account == someone.account(channel.id)
    if not channel.binding_required:
        assert identity.name == someone.name
        assert identity.social_security_number == someone.social_security_number
        assert identity.phone == someone.phone


async def test_a_credential_works_once_for_one_gateway(
    channel: Channel, sandbox: httpx.AsyncClient, world: World, now: int
) -> None:
    credential = authorize(world, channel.id, ACTIVE)
    await channel.identify(credential, now)
    another = build_channels(SANDBOX, sandbox)[channel.id]

    with pytest.raises(SignInExpired):
        await another.identify(credential, now)


async def test_an_expired_credential_is_refused(
    channel: Channel, world: World, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = authorize(world, channel.id, ACTIVE)
    fresh = authorize(world, channel.id, ACTIVE)
    real = time.time
    await channel.identify(fresh, now)

    monkeypatch.setattr(time, "time", lambda: real() + 301)

    with pytest.raises(SignInExpired):
        await channel.identify(credential, now + 301_000)


async def test_a_credential_of_another_channel_is_refused(
    channel: Channel, world: World, now: int
) -> None:
    for other in ChannelId:
        if other is not channel.id:
            with pytest.raises(SignInExpired):
                await channel.identify(authorize(world, other, ACTIVE), now)


async def test_a_reset_of_the_world_does_not_break_the_gateway(
    channel: Channel, world: World, now: int
) -> None:
    await channel.identify(authorize(world, channel.id, ACTIVE), now)

    world.clear()
    identity = await channel.identify(authorize(world, channel.id, ACTIVE), now)

    assert identity.account == ACTIVE.account(channel.id)


@pytest.mark.parametrize("wrong", WRONG)
async def test_wrong_settings_make_one_channel_unavailable_and_no_other(
    sandbox: httpx.AsyncClient, world: World, now: int, wrong: str
) -> None:
    mistaken = settings(**URLS, **WRONG[wrong])
    channels = build_channels(mistaken, sandbox)
    failed = []

    for kind in CHANNELS:
        try:
            credential = authorize(world, kind.id, ACTIVE)
            await channels[kind.id].identify(credential, now)
        except ChannelUnavailable:
            failed.append(kind.id.value.replace("_", " ").lower())

    assert failed == [wrong.rsplit(" ", 1)[0]]


async def test_a_clock_more_than_five_minutes_off_is_refused_by_unionpay(
    sandbox: httpx.AsyncClient, world: World, now: int
) -> None:
    off, right = UnionPay(SANDBOX, sandbox), UnionPay(SANDBOX, sandbox)

    credential = authorize(world, ChannelId.UNIONPAY, ACTIVE)
    with pytest.raises(ChannelUnavailable):
        await off.identify(credential, now + 6 * 60_000)

    assert (await right.identify(credential, now)).name == ACTIVE.name


@pytest.mark.parametrize("kind", [kind for kind in CHANNELS if kind.uses_state])
async def test_the_authorize_page_leads_back_with_code_and_state(
    channel: Channel, sandbox: httpx.AsyncClient, now: int
) -> None:
    page = channel.authorize_url("https://card.test/back?a=1", "state1")
    assert page is not None
    address = httpx.URL(page)

    asked = await sandbox.get(address)
    agreed = await sandbox.get(address.copy_merge_params({"persona": "active"}))
    foreign = await sandbox.get(
        address.copy_merge_params({"redirect_uri": "https://evil.test", "redirectUri": "x"})
    )

    back = httpx.URL(agreed.headers["Location"])
    assert ACTIVE.name in asked.text
    assert (back.host, back.params["a"], back.params["state"]) == ("card.test", "1", "state1")
    identity = await channel.identify(back.params["code"], now)
    assert identity.account == ACTIVE.account(channel.id)
    assert foreign.status_code == 400


async def test_a_message_is_delivered_to_the_citizen(
    channel: Channel, sandbox: httpx.AsyncClient, world: World, now: int
) -> None:
    if isinstance(channel, UnionPay):
        channel = UnionPay(SANDBOX, sandbox, mini_program_id="mp1")
    authorize(world, channel.id, ACTIVE)
    message = Message("template-1", "可领卡", {"k1": "可领卡"}, "https://card.test/")

    number = await channel.send(ACTIVE.account(channel.id), message, now)

    (delivered,) = world.all("messages")
    assert delivered["id"] == number
    assert delivered["channel"] == channel.id.value
    assert delivered["account"] == ACTIVE.account(channel.id)
    assert delivered["template"] == "template-1"


async def test_a_message_to_nobody_is_not_delivered(
    channel: Channel, sandbox: httpx.AsyncClient, world: World, now: int
) -> None:
    if isinstance(channel, UnionPay):
        channel = UnionPay(SANDBOX, sandbox, mini_program_id="mp1")

    with pytest.raises((Undeliverable, ChannelUnavailable)):
        await channel.send("nobody", Message("template-1", "", {}), now)

    assert world.all("messages") == []


async def test_the_menu_and_the_page_signature_are_taken(
    sandbox: httpx.AsyncClient, world: World, now: int
) -> None:
    wechat = WeChat(SANDBOX, sandbox)
    menu = build_menu("https://card.test/bind", "https://card.test/")

    await wechat.push_menu(menu, now)
    world.clear()
    await wechat.push_menu(menu, now)
    setup = await wechat.bridge("https://card.test/", now)

    assert world.get("wechat.menu", "current") == menu
    assert len(setup["signature"]) == 40


async def test_a_snapshot_account_is_refused(
    sandbox: httpx.AsyncClient, world: World, now: int
) -> None:
    credential = authorize(world, ChannelId.WECHAT, ACTIVE)
    kept = world.get("wechat.codes", credential)
    assert kept is not None
    world.put("wechat.codes", credential, {**kept, "snapshot": True})

    with pytest.raises(VirtualAccount):
        await WeChat(SANDBOX, sandbox).identify(credential, now)
