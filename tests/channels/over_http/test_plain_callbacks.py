"""WeChat's plain mode signs only time and nonce: the nonce must then be remembered."""

from dataclasses import replace

import pytest

from core.kernel.settings import Secret, Settings
from tests.front_end import World

from .parts import event, everything, push, sandbox_post, seconds, signed


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, wechat_aes_key=Secret(""))


async def test_replies_in_the_plain_mode(world: World) -> None:
    answer = await sandbox_post(world, "wechat/follow")

    assert answer["reply"].startswith("欢迎关注成都人社局。")


async def test_takes_a_genuine_event(world: World) -> None:
    await world.enter("active", "WECHAT")

    await push(world, signed(world, event("unsubscribe")))

    assert (await world.rows("bindings"))["bindings"] == []


async def test_an_overheard_signature_is_worth_nothing_for_another_body(world: World) -> None:
    await world.enter("active", "WECHAT")
    overheard, body = signed(world, event("subscribe"))
    await push(world, (overheard, body))
    before = await everything(world)

    await push(world, (overheard, signed(world, event("unsubscribe"))[1]))

    assert await everything(world) == before


@pytest.mark.parametrize("wrong", ["token", "time", "signature", "nonce"])
async def test_refuses_what_wechat_did_not_send(world: World, wrong: str) -> None:
    await world.enter("active", "WECHAT")
    left = event("unsubscribe")
    query, body = signed(world, left)
    forged = {
        "token": signed(world, left, wechat_token=Secret("other"))[0],
        "time": signed(world, left, seconds() - 301)[0],
        "signature": query | {"signature": ""},
        "nonce": query | {"nonce": "1"},
    }[wrong]
    before = await everything(world)

    answer = await push(world, (forged, body))

    assert answer.status_code == 403
    assert await everything(world) == before
