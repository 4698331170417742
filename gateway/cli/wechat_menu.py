"""`card-gateway wechat-menu`: the official account's menu, built from the settings."""

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from core.kernel.settings import Settings, SettingsError, variable
from gateway.cli.common import (
    OPERATOR,
    operator_named,
    read_settings,
    record_command,
    require_migrated_database,
)

wechat_menu = typer.Typer(no_args_is_help=True, help="The menu of the WeChat official account.")

_NEEDED = ("wechat_query_url", "wechat_card_url", "wechat_app_id", "wechat_secret")


@wechat_menu.command()
def push(
    operator: Annotated[str, OPERATOR],
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="To the sandbox of a running gateway.")
    ] = False,
) -> None:
    """Replaces the account's menu by the guide's: 微服务 → 社保查询, 新社保卡.

    The operator stands in the audit log.
    """
    from gateway.app import configure_logs

    configure_logs("CRITICAL")
    name = operator_named(operator)
    found = read_settings(sandbox=sandbox)
    menu = menu_for(found)
    require_migrated_database(found)

    async def work() -> None:
        await record_command(found, "wechat-menu push", name)
        await push_menu(found, menu)

    asyncio.run(work())
    print(f"The menu is in place: {_names(menu)}.")


def menu_for(settings: Settings) -> Mapping[str, Any]:
    """Raises `SettingsError`, one sentence for the operator."""
    from gateway.channels.wechat import MenuInvalid, build_menu

    _must_be_given(settings)
    try:
        return build_menu(settings.wechat_query_url, settings.wechat_card_url)
    except MenuInvalid as error:
        raise SettingsError(f"WeChat would not take this menu: {error}.") from None


async def push_menu(settings: Settings, menu: Mapping[str, Any]) -> None:
    """Raises `SettingsError`, one sentence for the operator."""
    import httpx

    from core.kernel.refusals import Refusal
    from gateway.channels.wechat import WeChat

    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            await WeChat(settings, http).push_menu(menu, time.time_ns() // 1_000_000)
        except Refusal as refusal:
            raise SettingsError(_explained(refusal)) from None


def _must_be_given(settings: Settings) -> None:
    defaults = Settings()
    missing = [name for name in _NEEDED if getattr(settings, name) == getattr(defaults, name)]
    if missing:
        raise SettingsError(f"These settings are missing: {', '.join(map(variable, missing))}.")


def _explained(refusal: Exception) -> str:
    """An error message with the platform's code, which its documentation explains (全局返回码)."""
    code = getattr(refusal.__cause__, "code", None)
    if code is None:
        return "WeChat did not answer, so the menu is as it was: try again later."
    return f"WeChat refused the menu with its code {code}, so the menu is as it was."


def _names(menu: Mapping[str, Any]) -> str:
    tops = (
        f"{top['name']} → {', '.join(below['name'] for below in top['sub_button'])}"
        for top in menu["button"]
    )
    return "; ".join(tops)
