"""`card-gateway wechat-menu push`, against the sandbox's platform on a real socket."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import typer
import uvicorn
from starlette.applications import Starlette
from typer.testing import CliRunner

from core.kernel.settings import Settings, SettingsError
from gateway.cli.wechat_menu import menu_for, push_menu, wechat_menu
from sandbox.platforms import platform_routes
from sandbox.platforms.wechat import MENU
from sandbox.world import World

from .parts import settings

PAGES = {
    "wechat_query_url": "https://card.test/bind",
    "wechat_card_url": "https://card.test/card",
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "world.sqlite3")
    yield world
    world.close()


@pytest.fixture
async def address(world: World) -> AsyncIterator[str]:
    """The sandbox's platforms, served."""
    app = Starlette(routes=platform_routes(settings(), world))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    with contextlib.closing(listener):
        serving = asyncio.create_task(server.serve([listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/sandbox/platforms/wechat"
        server.should_exit = True
        await serving


def menu_of(world: World) -> object:
    return world.get(MENU, "current")


async def test_pushes_the_menu_of_the_guide(address: str, world: World) -> None:
    given = settings(wechat_url=address, **PAGES)
    await push_menu(given, menu_for(given))

    assert menu_of(world) == {
        "button": [
            {
                "name": "微服务",
                "sub_button": [
                    {"type": "view", "name": "社保查询", "url": PAGES["wechat_query_url"]},
                    {"type": "view", "name": "新社保卡", "url": PAGES["wechat_card_url"]},
                ],
            }
        ]
    }


REFUSED = {
    "a wrong secret": ({"wechat_secret": "other"}, r"with its code 40125, so"),
    "another app": ({"wechat_app_id": "wx-other"}, r"with its code 40013, so"),
    "no pages": (
        {"wechat_query_url": "", "wechat_card_url": ""},
        r"missing: CARD_GATEWAY_WECHAT_QUERY_URL, CARD_GATEWAY_WECHAT_CARD_URL\.",
    ),
    "no secret": ({"wechat_secret": ""}, r"missing: CARD_GATEWAY_WECHAT_SECRET\."),
    "not a web address": ({"wechat_card_url": "card.test"}, r"must open a web address\."),
    "too long": ({"wechat_card_url": "https://c/" + "a" * 1100}, r"1 to 1024 bytes, not 1110\."),
    "nobody there": ({"wechat_url": "http://127.0.0.1:1"}, r"WeChat did not answer"),
}


@pytest.mark.parametrize("wrong", REFUSED)
async def test_says_in_one_sentence_why_not(address: str, world: World, wrong: str) -> None:
    changed, sentence = REFUSED[wrong]
    given: Settings = settings(**({"wechat_url": address, **PAGES} | changed))

    with pytest.raises(SettingsError, match=sentence) as caught:
        await push_menu(given, menu_for(given))

    assert str(caught.value).count("\n") == 0
    assert "wechat-app-secret" not in str(caught.value)
    assert menu_of(world) is None


def test_is_a_command_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cli = typer.Typer()
    cli.add_typer(wechat_menu, name="wechat-menu")
    monkeypatch.chdir(tmp_path)

    shown = CliRunner().invoke(cli, ["wechat-menu", "--help"])
    run = CliRunner().invoke(cli, ["wechat-menu", "push", "--operator", "王芳"])

    assert "push" in shown.output
    assert isinstance(run.exception, SettingsError)
    assert str(run.exception).startswith(
        "These settings are missing: CARD_GATEWAY_WECHAT_QUERY_URL"
    )
