"""The account's menu (自定义菜单 · 创建接口): the guide's two entries, below 微服务."""

from collections.abc import Mapping, Sequence
from typing import Any

MAX_TOP = 3
MAX_BELOW = 5
TOP_NAME_BYTES = 16
BELOW_NAME_BYTES = 60
URL_BYTES = 1024


class MenuInvalid(ValueError):
    """A menu that the platform would reject; the message is one sentence."""


def build_menu(query_url: str, card_url: str) -> dict[str, Any]:
    """社保查询 opens the page for binding (绑卡), 新社保卡 the page of the card services."""
    menu = {
        "button": [
            {
                "name": "微服务",
                "sub_button": [
                    {"type": "view", "name": "社保查询", "url": query_url},
                    {"type": "view", "name": "新社保卡", "url": card_url},
                ],
            }
        ]
    }
    check_menu(menu)
    return menu


def check_menu(menu: Mapping[str, Any]) -> None:
    """Raises `MenuInvalid`."""
    _check_level(menu.get("button", ()), MAX_TOP, TOP_NAME_BYTES)
    for button in menu["button"]:
        if "sub_button" in button:
            _check_level(button["sub_button"], MAX_BELOW, BELOW_NAME_BYTES)
        else:
            _check_leaf(button)


def _check_level(buttons: Sequence[Mapping[str, Any]], most: int, name_bytes: int) -> None:
    if not 1 <= len(buttons) <= most:
        raise MenuInvalid(f"a level has 1 to {most} buttons, not {len(buttons)}")
    for button in buttons:
        _check_bytes(button, "name", name_bytes)
        if most == MAX_BELOW:
            _check_leaf(button)


def _check_leaf(button: Mapping[str, Any]) -> None:
    if button.get("type") != "view":
        raise MenuInvalid(f"{button.get('name')!r} must open a page")
    _check_bytes(button, "url", URL_BYTES)
    if not button["url"].startswith(("https://", "http://")):
        raise MenuInvalid(f"{button['name']!r} must open a web address")


def _check_bytes(button: Mapping[str, Any], key: str, most: int) -> None:
    size = len(str(button.get(key, "")).encode())
    if not 1 <= size <= most:
        raise MenuInvalid(
            f"{key} of {button.get('name')!r} must have 1 to {most} bytes, not {size}"
        )
