"""What an endpoint answers while the database is unavailable."""

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

log = structlog.get_logger("gateway")

_AGAIN_SECONDS = 5


async def unavailable(_: Request, __: Exception) -> Response:
    log.error("database.unavailable")
    return PlainTextResponse(
        "Please try again later.\n",
        status_code=503,
        headers={"Retry-After": str(_AGAIN_SECONDS)},
    )
