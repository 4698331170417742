"""What the platforms send, and all that the gateway's database holds."""

import time
from dataclasses import replace
from typing import Any

import httpx

from core.kernel.callers import ChannelId
from core.kernel.settings import Settings
from core.migrations.tables import TABLES
from sandbox.keys import unionpay_key
from sandbox.personas import PERSONAS
from sandbox.platforms import unionpay, wechat
from sandbox.platforms.wechat import Form
from tests.front_end import World

WECHAT = "/channels/wechat/callback"
UNIONPAY = "/channels/unionpay/callback"
OPEN_ID = PERSONAS["active"].account(ChannelId.WECHAT)
BY_THE_CLOCK = {"audit_heads", "audit_anchors", "audit_anchored_heads", "scheduled_jobs"}


def seconds() -> int:
    return int(time.time())


def event(name: str, **fields: str) -> dict[str, str]:
    """An event of the persona `active` in the official account."""
    return {
        "ToUserName": "gh_sandbox",
        "FromUserName": OPEN_ID,
        "CreateTime": str(seconds()),
        "MsgType": "event",
        "Event": name,
        **fields,
    }


def signed(world: World, message: dict[str, str], at: int | None = None, **changed: Any) -> Form:
    """As WeChat signs and encrypts it; `changed` are settings that a forger has wrong."""
    return wechat.callback(with_changes(world, changed), message, at or seconds())


def notification(world: World, at: int | None = None, **fields: str) -> bytes:
    settings = settings_of(world)
    sent = {"type": "USER_CHANGED", "openId": "o1", "traceId": "trace-1", **fields}
    return unionpay.notification(settings, sent, unionpay_key(settings), at or seconds())


async def push(world: World, form: Form) -> httpx.Response:
    query, body = form
    return await world.http.post(WECHAT, params=query, content=body)


async def sandbox_post(world: World, path: str, **given: str) -> dict[str, Any]:
    response = await world.http.post(f"/sandbox/{path}", json={"persona": "active", **given})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def everything(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Every table, once what earlier steps of a test set going has gone out.

    Save what the audit log and the scheduler write by the clock in between.
    """
    await world.application.worker.drained()
    return await world.rows(*(table.name for table in TABLES if table.name not in BY_THE_CLOCK))


def settings_of(world: World) -> Settings:
    return world.application.dependencies.settings


def with_changes(world: World, changed: dict[str, Any]) -> Settings:
    return replace(settings_of(world), **changed)
