"""The sandbox page: the apps, the SMS inbox and the card issuer."""

import asyncio
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox.answers import persona_of

PORTRAIT = Path(__file__).parent / "portrait.jpg"
STATIC_DIR = Path(__file__).parent / "static"
NOT_BUILT = (
    "沙盒页尚未构建,请运行 make install。"
    " The sandbox page is not built yet: make install builds it.\n"
)

# Portraits are previewed by data: and blob: URLs.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


def page_routes() -> list[BaseRoute]:
    assets = StaticFiles(directory=STATIC_DIR, check_dir=False)
    return [
        Route("/", page),
        Route("/portrait.jpg", portrait),
        Route("/id-cards/{persona}/{side}.jpg", id_card),
        Mount("/static", assets, name="sandbox-static"),
    ]


async def portrait(_request: Request) -> Response:
    """A drawn portrait that passes the pre-review, for trying out the upload."""
    return FileResponse(PORTRAIT, media_type="image/jpeg")


async def id_card(request: Request) -> Response:
    """A drawn specimen of a persona's ID card on a table, for trying out the upload."""
    from sandbox.id_cards import photograph_of

    persona, side = persona_of(request.path_params["persona"]), request.path_params["side"]
    if side not in ("PORTRAIT_SIDE", "EMBLEM_SIDE"):
        raise HTTPException(404, "The sides are PORTRAIT_SIDE and EMBLEM_SIDE.")
    drawn = await asyncio.to_thread(photograph_of, persona, side)
    return Response(drawn, media_type="image/jpeg")


async def page(_request: Request) -> Response:
    index = STATIC_DIR / "index.html"
    if not index.is_file():
        return PlainTextResponse(NOT_BUILT, status_code=503)
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Cache-Control": "no-cache",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return FileResponse(index, media_type="text/html", headers=headers)
