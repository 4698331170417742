"""For operators: alive, ready, and a few numbers in the Prometheus text format."""

from collections.abc import Awaitable, Callable

from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from core.database import DatabaseUnavailable, Query
from core.outbox import outbox
from gateway.resolvers.context import Application

_WAITING = Query(
    select(
        func.count().filter(outbox.c.parked_at.is_(None)).label("waiting"),
        func.count().filter(outbox.c.parked_at.is_not(None)).label("parked"),
    ).where(outbox.c.settled_at.is_(None))
)


async def healthz(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def readyz_endpoint(application: Application) -> Callable[[Request], Awaitable[Response]]:
    async def readyz(_: Request) -> Response:
        try:
            await application.database.fetch(_WAITING)
        except DatabaseUnavailable:
            return JSONResponse({"database": "unavailable"}, status_code=503)
        return JSONResponse({"database": "ok"})

    return readyz


def metrics_endpoint(application: Application) -> Callable[[Request], Awaitable[Response]]:
    async def metrics(_: Request) -> Response:
        try:
            row = await application.database.fetch_one(_WAITING)
        except DatabaseUnavailable:
            return PlainTextResponse("# the database is unavailable\n", status_code=503)
        assert row is not None
        return PlainTextResponse(
            "# TYPE card_gateway_outbox gauge\n"
            f'card_gateway_outbox{{state="waiting"}} {row["waiting"]}\n'
            f'card_gateway_outbox{{state="parked"}} {row["parked"]}\n'
            "# TYPE card_gateway_subscriptions gauge\n"
            f"card_gateway_subscriptions {application.live.watching}\n"
        )

    return metrics
