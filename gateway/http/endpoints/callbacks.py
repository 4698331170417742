"""`/channels/<channel>/callback`: callbacks of the platforms, handled by the channel."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from core.kernel.refusals import NotOfferedHere, Refusal
from core.kernel.texts import Language
from gateway.channels.contract import CallbackResponse, Channel, ForgedCallback
from gateway.resolvers.context import Application, Context
from gateway.resolvers.service_port import ChannelServicePort

log = structlog.get_logger("callbacks")


def callback_routes(application: Application) -> Sequence[BaseRoute]:
    return [
        Route(_path(channel), _endpoint(application, channel), methods=["GET", "POST"])
        for channel in application.channels.values()
    ]


def _path(channel: Channel) -> str:
    return f"/channels/{channel.id.value.lower().replace('_', '-')}/callback"


def _endpoint(
    application: Application, channel: Channel
) -> Callable[[Request], Awaitable[Response]]:
    async def callback(request: Request) -> Response:
        try:
            return _response(await _handle(application, channel, request))
        except ForgedCallback:
            log.warning("callback.forged", channel=channel.id.value)
            return PlainTextResponse("forbidden\n", status_code=403)
        except NotOfferedHere:
            return PlainTextResponse("This channel has no callback.\n", status_code=404)
        except Refusal:
            log.warning("callback.postponed", channel=channel.id.value)
            return PlainTextResponse("try again later\n", status_code=503)

    return callback


async def _handle(application: Application, channel: Channel, request: Request) -> CallbackResponse:
    if request.method == "GET":
        return CallbackResponse(
            channel.check_url(request.query_params, application.clock()).encode()
        )
    port = ChannelServicePort(Context(application, Language.ZH, "", None))
    return await channel.take_callback(request.query_params, await request.body(), port)


def _response(reply: CallbackResponse) -> Response:
    response = Response(reply.body, media_type=reply.media_type)
    work = reply.unfinished
    if work is not None:

        async def finished() -> None:
            await work

        response.background = BackgroundTask(finished)
    return response
