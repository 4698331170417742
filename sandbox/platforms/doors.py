"""What a person does in an app and what its platform then tells the gateway; delivered messages."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

import httpx
import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from core.kernel.callers import ChannelId
from core.kernel.settings import Settings
from sandbox.answers import SandboxResponse, persona_of, read
from sandbox.personas import Persona
from sandbox.platforms import wechat
from sandbox.platforms.callbacks import Called, Caller
from sandbox.platforms.clock import seconds
from sandbox.platforms.inbox import messages, messages_to
from sandbox.world import World

Message: TypeAlias = dict[str, str]

ACCOUNT = "gh_sandbox"
"""The official account's own name, to which followers write."""
EMPTY_ANSWERS = (b"", b"success")


class _Who(msgspec.Struct):
    persona: str


class _Text(_Who):
    text: str


class _Delivered(_Who):
    status: str = "success"


class _Notify(_Who):
    type: Literal["AUTH_CANCELLED", "USER_CHANGED"] = "USER_CHANGED"
    trace_id: str = ""


def platform_doors(
    settings: Settings,
    http: httpx.AsyncClient,
    world: World,
    delivered: Callable[[], Awaitable[None]],
) -> list[BaseRoute]:
    """`delivered` waits for what the gateway is about to send."""
    doors = _Doors(settings, http, world, delivered)
    return [
        Route("/wechat/follow", doors.follow, methods=["POST"]),
        Route("/wechat/unfollow", doors.unfollow, methods=["POST"]),
        Route("/wechat/menu", doors.menu, methods=["POST"]),
        Route("/wechat/text", doors.text, methods=["POST"]),
        Route("/wechat/delivered", doors.report_delivery, methods=["POST"]),
        Route("/unionpay/notify", doors.notify, methods=["POST"]),
        Route("/messages", doors.messages),
    ]


class _Doors:
    def __init__(
        self,
        settings: Settings,
        http: httpx.AsyncClient,
        world: World,
        delivered: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._world = world
        self._delivered = delivered
        self._caller = Caller(settings, http)

    async def follow(self, request: Request) -> Response:
        persona = persona_of((await read(request, _Who)).persona)
        self._set_follows(persona, True)
        return await self._push(_event(persona, "subscribe"))

    async def unfollow(self, request: Request) -> Response:
        persona = persona_of((await read(request, _Who)).persona)
        self._set_follows(persona, False)
        return await self._push(_event(persona, "unsubscribe"))

    async def menu(self, request: Request) -> Response:
        persona = persona_of((await read(request, _Who)).persona)
        return await self._push(_event(persona, "CLICK", EventKey="SERVICES"))

    async def text(self, request: Request) -> Response:
        asked = await read(request, _Text)
        number = str(secrets.randbelow(10**17))
        sender = persona_of(asked.persona)
        return await self._push(_message(sender, "text", Content=asked.text, MsgId=number))

    async def report_delivery(self, request: Request) -> Response:
        """模板消息送达 of the persona's newest template message."""
        asked = await read(request, _Delivered)
        await self._delivered()
        persona = persona_of(asked.persona)
        sent = messages_to(self._world, ChannelId.WECHAT, persona)
        if not sent:
            raise HTTPException(409, f"The persona {persona.id} has no message in WeChat.")
        return await self._push(
            _event(persona, "TEMPLATESENDJOBFINISH", MsgID=sent[0]["id"], Status=asked.status)
        )

    async def notify(self, request: Request) -> Response:
        asked = await read(request, _Notify)
        called = await self._caller.notify(
            {
                "type": asked.type,
                "openId": persona_of(asked.persona).account(ChannelId.UNIONPAY),
                "traceId": asked.trace_id or secrets.token_hex(8),
            }
        )
        return SandboxResponse(_shown(called) | {"reply": called.response and called.response.text})

    async def messages(self, _request: Request) -> Response:
        await self._delivered()
        return SandboxResponse(messages(self._world))

    def _set_follows(self, persona: Persona, follows: bool) -> None:
        account = persona.account(ChannelId.WECHAT)
        self._world.put(wechat.USERS, account, {"openid": account, "follows": follows})

    async def _push(self, message: Message) -> Response:
        called = await self._caller.push(message)
        return SandboxResponse(_shown(called) | {"reply": self._reply(called)})

    def _reply(self, called: Called) -> str | None:
        """What the citizen reads in the conversation; null where the account says nothing."""
        if called.response is None or not called.taken:
            return None
        if called.response.content in EMPTY_ANSWERS:
            return None
        try:
            return wechat.read_reply(self._settings, called.response.content)["Content"]
        except (ValueError, KeyError, SyntaxError) as error:
            raise HTTPException(502, "The gateway's reply is not one WeChat would take.") from error


def _event(persona: Persona, event: str, **fields: str) -> Message:
    return _message(persona, "event", Event=event, **fields)


def _message(persona: Persona, kind: str, **fields: str) -> Message:
    return {
        "ToUserName": ACCOUNT,
        "FromUserName": persona.account(ChannelId.WECHAT),
        "CreateTime": str(seconds()),
        "MsgType": kind,
        **fields,
    }


def _shown(called: Called) -> dict[str, Any]:
    status = None if called.response is None else called.response.status_code
    return {"attempts": called.attempts, "status": status}
