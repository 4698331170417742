"""What the platforms call: verified by the channel's adapter, taken once, answered in time.

WeChat waits five seconds and repeats twice more; so the answer does not wait for the work
(the 5-second rule of 消息推送): what an event changes is one write of our own database.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from core.callers import ChannelId
from core.clock import Instant
from core.errors import Language, NotOfferedHere, Refusal
from core.services.channel_events import ChannelEvent, ChannelEventType, take_channel_event
from gateway.channels.base import Channel, ForgedCallback, Notification
from gateway.channels.unionpay import ACCEPTED
from gateway.channels.wechat import WeChat
from gateway.resolvers.context import Application, Context
from gateway.resolvers.run import run

_PATHS = {
    ChannelId.WECHAT: "wechat",
    ChannelId.UNIONPAY: "unionpay",
    ChannelId.PING_AN: "ping-an",
}
_TYPES = {
    "unsubscribe": ChannelEventType.LEFT,
    "TEMPLATESENDJOBFINISH": ChannelEventType.MESSAGE_DELIVERED,
}

WAITS_SECONDS = (0.2, 1.0, 5.0)

log = structlog.get_logger("callbacks")


def callback_routes(application: Application) -> Sequence[BaseRoute]:
    return [
        Route(
            f"/channels/{path}/callback",
            _endpoint(application, application.channels[channel_id]),
            methods=["GET", "POST"],
        )
        for channel_id, path in _PATHS.items()
        if channel_id in application.channels
    ]


def _endpoint(
    application: Application, channel: Channel
) -> Callable[[Request], Awaitable[Response]]:
    async def callback(request: Request) -> Response:
        now = application.clock()
        try:
            if request.method == "GET":
                return PlainTextResponse(channel.check_url(request.query_params, now))
            told = channel.verify_callback(request.query_params, await request.body(), now)
        except ForgedCallback:
            log.warning("callback.forged", channel=channel.id.value)
            return PlainTextResponse("forbidden\n", status_code=403)
        except NotOfferedHere:
            return PlainTextResponse("This platform calls nothing here.\n", status_code=404)
        if isinstance(channel, WeChat):
            return _answer_wechat(application, channel, told, now)
        return await _answer_when_taken(application, channel, told)

    return callback


async def _answer_when_taken(
    application: Application, channel: Channel, told: Notification
) -> Response:
    """What could not be taken is not acknowledged, so that the platform sends it again."""
    try:
        await _take(application, channel, told)
    except Refusal:
        log.warning("callback.postponed", channel=channel.id.value)
        return PlainTextResponse("try again later\n", status_code=503)
    return Response(ACCEPTED, media_type="application/json")


def _answer_wechat(
    application: Application, channel: WeChat, told: Notification, now: Instant
) -> Response:
    """The reply at once, the work after it."""
    work = BackgroundTask(_take_after_answer, application, channel, told)
    text = _reply_to(application, told)
    if text is None:
        return PlainTextResponse("success", background=work)
    return Response(
        channel.reply_text(told, text, now), media_type="application/xml", background=work
    )


def _reply_to(application: Application, told: Notification) -> str | None:
    """What the account says; None is the empty answer that ends the platform's repeats."""
    settings = application.tools.settings
    if told.event == "subscribe":
        return f"欢迎关注成都人社局。首次使用请先绑卡（微服务 → 社保查询）：{settings.wechat_query_url}"
    if told.event in ("CLICK", "text"):
        return (
            "社会保障卡线上服务：公众号菜单栏 → 微服务 → 新社保卡。"
            f"{settings.wechat_card_url} 首次使用请先绑卡（微服务 → 社保查询）。"
        )
    return None


async def _take_after_answer(
    application: Application, channel: Channel, told: Notification
) -> None:
    """The platform has its answer and will not repeat: what fails is tried again here."""
    for wait in WAITS_SECONDS:
        try:
            return await _take(application, channel, told)
        except Refusal:
            log.warning("callback.postponed", channel=channel.id.value)
        await asyncio.sleep(wait)
    try:
        await _take(application, channel, told)
    except Refusal as refusal:
        log.error("callback.lost", channel=channel.id.value, reason=refusal.code.value)


async def _take(application: Application, channel: Channel, told: Notification) -> None:
    context = Context(application, Language.ZH, "", None)
    event = ChannelEvent(
        channel=channel.id,
        type=_TYPES.get(told.event, ChannelEventType.OTHER),
        account=told.account,
        key=told.key,
        nonce=told.nonce,
        message_number=told.fields.get("MsgID", ""),
        delivery=told.fields.get("Status", ""),
    )
    new = await run(context, take_channel_event, event)
    log.info("callback.taken", channel=channel.id.value, type=event.type.value, new=new)
