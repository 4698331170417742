"""`GET /pictures/{id}`: previews of uploaded pictures, by signed links."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from core.audit import Action
from core.imaging import draw_overlay
from core.isolation import PoolBusy, ProcessingFailed
from core.kernel.refusals import TryAgainLater
from core.storage import pictures
from gateway.resolvers.context import Application
from gateway.resolvers.signed_links import LinkKind, opened, overlay_in

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


def picture_endpoint(application: Application) -> Endpoint:
    async def picture(request: Request) -> Response:
        picture_id = request.path_params["picture_id"]
        query, now = request.query_params, application.clock()
        link = await opened(application, LinkKind.PICTURE, picture_id, query)
        if link is None:
            return PlainTextResponse("The link has expired.\n", status_code=403)
        found = await pictures.find(application.database, link.citizen_id, picture_id)
        if found is None:
            return PlainTextResponse("There is no such picture.\n", status_code=404)
        data = await application.dependencies.objects.get(found.object_name, found.citizen_id)
        try:
            application.access_log.record_link(found.citizen_id, now, Action.PICTURE)
        except TryAgainLater:
            return PlainTextResponse("Please try again later.\n", status_code=503)
        geometry = overlay_in(query)
        if geometry is not None:
            try:
                data = await application.dependencies.pictures_pool.run(
                    draw_overlay, data, geometry
                )
            except (ProcessingFailed, PoolBusy):
                return PlainTextResponse("Please try again later.\n", status_code=503)
        headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
        return Response(data, media_type="image/jpeg", headers=headers)

    return picture
