"""WeChat 成都人社局."""

from gateway.channels.wechat.adapter import WeChat
from gateway.channels.wechat.menu import MenuInvalid, build_menu

__all__ = [
    "MenuInvalid",
    "WeChat",
    "build_menu",
]
