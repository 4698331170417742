"""Actions of a persona in an app (follow, write, withdraw) that trigger a platform's callback.

Also lists the messages that the platforms delivered.
"""

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
from sandbox.platforms.callbacks import CallbackSender, Delivery
from sandbox.platforms.inbox import messages, messages_to
from sandbox.world import World

Message: TypeAlias = dict[str, str]

ACCOUNT = "gh_sandbox"
"""The id of the official account."""
EMPTY_REPLIES = (b"", b"success")


class _Who(msgspec.Struct):
    persona: str


class _Text(_Who):
    text: str


class _DeliveryReport(_Who):
    status: str = "success"


class _Notify(_Who):
    type: Literal["AUTH_CANCELLED", "USER_CHANGED"] = "USER_CHANGED"
    trace_id: str = ""


def user_action_routes(
    settings: Settings,
    http: httpx.AsyncClient,
    world: World,
    delivered: Callable[[], Awaitable[None]],
) -> list[BaseRoute]:
    """`delivered` waits until the gateway has sent what is in its outbox."""
    endpoints = _Endpoints(settings, CallbackSender(settings, http, world), world, delivered)
    return [
        Route("/wechat/follow", endpoints.follow, methods=["POST"]),
        Route("/wechat/unfollow", endpoints.unfollow, methods=["POST"]),
        Route("/wechat/menu", endpoints.menu, methods=["POST"]),
        Route("/wechat/text", endpoints.text, methods=["POST"]),
        Route("/wechat/delivered", endpoints.report_delivery, methods=["POST"]),
        Route("/unionpay/notify", endpoints.notify, methods=["POST"]),
        Route("/messages", endpoints.messages),
    ]


class _Endpoints:
    def __init__(
        self,
        settings: Settings,
        callbacks: CallbackSender,
        world: World,
        delivered: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._callbacks = callbacks
        self._world = world
        self._delivered = delivered

    async def follow(self, request: Request) -> Response:
        persona = persona_of((await read(request, _Who)).persona)
        self._set_follows(persona, True)
        return await self._push(self._event(persona, "subscribe"))

    async def unfollow(self, request: Request) -> Response:
        persona = persona_of((await read(request, _Who)).persona)
        self._set_follows(persona, False)
        return await self._push(self._event(persona, "unsubscribe"))

    async def menu(self, request: Request) -> Response:
        persona = persona_of((await read(request, _Who)).persona)
        return await self._push(self._event(persona, "CLICK", EventKey="SERVICES"))

    async def text(self, request: Request) -> Response:
        asked = await read(request, _Text)
        number = str(secrets.randbelow(10**17))
        sender = persona_of(asked.persona)
        return await self._push(self._message(sender, "text", Content=asked.text, MsgId=number))

    async def report_delivery(self, request: Request) -> Response:
        """模板消息送达 of the persona's newest template message."""
        asked = await read(request, _DeliveryReport)
        await self._delivered()
        persona = persona_of(asked.persona)
        sent = messages_to(self._world, ChannelId.WECHAT, persona)
        if not sent:
            raise HTTPException(409, f"The persona {persona.id} has no message in WeChat.")
        return await self._push(
            self._event(persona, "TEMPLATESENDJOBFINISH", MsgID=sent[0]["id"], Status=asked.status)
        )

    async def notify(self, request: Request) -> Response:
        asked = await read(request, _Notify)
        delivery = await self._callbacks.notify(
            {
                "type": asked.type,
                "openId": persona_of(asked.persona).account(ChannelId.UNIONPAY),
                "traceId": asked.trace_id or secrets.token_hex(8),
            }
        )
        return SandboxResponse(
            _summary(delivery) | {"reply": delivery.response and delivery.response.text}
        )

    async def messages(self, _request: Request) -> Response:
        await self._delivered()
        return SandboxResponse(messages(self._world))

    def _event(self, persona: Persona, event: str, **fields: str) -> Message:
        return self._message(persona, "event", Event=event, **fields)

    def _message(self, persona: Persona, kind: str, **fields: str) -> Message:
        return {
            "ToUserName": ACCOUNT,
            "FromUserName": persona.account(ChannelId.WECHAT),
            "CreateTime": str(self._world.seconds()),
            "MsgType": kind,
            **fields,
        }

    def _set_follows(self, persona: Persona, follows: bool) -> None:
        account = persona.account(ChannelId.WECHAT)
        self._world.put(wechat.USERS, account, {"openid": account, "follows": follows})

    async def _push(self, message: Message) -> Response:
        delivery = await self._callbacks.push(message)
        return SandboxResponse(_summary(delivery) | {"reply": self._reply(delivery)})

    def _reply(self, delivery: Delivery) -> str | None:
        """The text that the citizen sees in the conversation; null if the account does not reply."""
        if delivery.response is None or not delivery.acknowledged:
            return None
        if delivery.response.content in EMPTY_REPLIES:
            return None
        try:
            return wechat.read_reply(self._settings, delivery.response.content)["Content"]
        except (ValueError, KeyError, SyntaxError) as error:
            raise HTTPException(502, "The gateway's reply would be rejected by WeChat.") from error


def _summary(delivery: Delivery) -> dict[str, Any]:
    status = None if delivery.response is None else delivery.response.status_code
    return {"attempts": delivery.attempts, "status": status}
