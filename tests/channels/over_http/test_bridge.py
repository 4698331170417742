"""What a page passes to its app's script bridge, as a front-end gets it."""

import hashlib
from typing import Any

import pytest

from gateway.channels import CHANNELS
from tests.front_end import World

from .parts import everything, settings_of

PAGE = "http://127.0.0.1:8000/card/?a=1&b=2"
BRIDGE = (
    "query($c: ChannelId!, $p: String!) { channel(id: $c) { bridge(pageUrl: $p) { __typename"
    " ... on Bridge { parameters { name value } } ... on Refusal { code field message } } } }"
)


async def bridge(world: World, channel: str, page: str = PAGE) -> dict[str, Any]:
    answer = await world.front_end("active", channel).ask(BRIDGE, c=channel, p=page)
    found: dict[str, Any] = answer["bridge"]
    return found


def named(found: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in found["parameters"]}


async def test_wechat_signs_the_page_with_its_ticket(world: World) -> None:
    given = named(await bridge(world, "WECHAT", PAGE + "#part"))
    tokens = world.application.channels
    ticket = await tokens[CHANNELS[0].id]._ticket.current(  # type: ignore[attr-defined]
        world.application.clock()
    )

    signed = (
        f"jsapi_ticket={ticket}&noncestr={given['nonceStr']}"
        f"&timestamp={given['timestamp']}&url={PAGE}"
    )
    assert given["signature"] == hashlib.sha1(signed.encode()).hexdigest()  # noqa: S324
    assert given["appId"] == settings_of(world).wechat_app_id
    assert ticket not in str(given)


async def test_ping_an_gives_its_init_code(world: World) -> None:
    first, second = [named(await bridge(world, "PING_AN")) for _ in range(2)]

    assert first["appId"] == settings_of(world).ping_an_app_id
    assert len(first["initCode"]) == 32
    assert first["initCode"] != second["initCode"]


async def test_unionpay_has_none_and_says_so(world: World) -> None:
    before = await everything(world)

    answer = await bridge(world, "UNIONPAY")

    assert (answer["__typename"], answer["code"]) == ("Refusal", "NOT_OFFERED_HERE")
    assert await everything(world) == before


@pytest.mark.parametrize("page", ["https://evil.test/", "", "http://127.0.0.1@evil.test/", "页面"])
async def test_no_page_of_others_is_signed(world: World, page: str) -> None:
    answer = await bridge(world, "WECHAT", page)

    assert (answer["code"], answer["field"]) == ("INVALID_FORMAT", "pageUrl")
