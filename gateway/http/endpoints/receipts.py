"""`GET /receipts/{id}.pdf`: receipts as PDF, by signed links.

They are rendered in a worker process of their own.
"""

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from core.audit import Action
from core.isolation import PoolBusy, ProcessingFailed
from core.kernel.refusals import TryAgainLater
from core.production import print_receipt, receipts
from gateway.http.endpoints.pictures import Endpoint
from gateway.resolvers.context import Application
from gateway.resolvers.signed_links import LinkKind, opened

log = structlog.get_logger("receipts")

_AGAIN_SECONDS = 5


def receipt_endpoint(application: Application) -> Endpoint:
    async def receipt(request: Request) -> Response:
        application_id = request.path_params["application_id"]
        dependencies, now = application.dependencies, application.clock()
        query = request.query_params
        link = await opened(application, LinkKind.RECEIPT, application_id, query)
        if link is None:
            return PlainTextResponse("The link has expired.\n", status_code=403)
        found = await receipts.receipt_of(
            application.database,
            dependencies.vault,
            dependencies.reference,
            link.citizen_id,
            application_id,
            dependencies.settings.progress_url,
        )
        if found is None:
            return PlainTextResponse("There is no such receipt.\n", status_code=404)
        try:
            pdf = await dependencies.receipts_pool.run(print_receipt, found)
        except (ProcessingFailed, PoolBusy):
            log.warning("receipt not printed")
            return PlainTextResponse(
                "The receipt cannot be printed right now; please try again.\n",
                status_code=503,
                headers={"Retry-After": str(_AGAIN_SECONDS)},
            )
        try:
            application.access_log.record_link(link.citizen_id, now, Action.RECEIPT)
        except TryAgainLater:
            return PlainTextResponse("Please try again later.\n", status_code=503)
        return Response(
            pdf,
            media_type="application/pdf",
            headers={
                "Content-Disposition": f'inline; filename="{found.number}.pdf"',
                "Cache-Control": "private, no-store",
                "X-Content-Type-Options": "nosniff",
            },
        )

    return receipt
