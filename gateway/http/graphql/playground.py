"""The GraphiQL page with its assets, all served by the gateway."""

from pathlib import Path

from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount

from gateway.http.edge import EncodedFiles

STATIC_DIR = Path(__file__).parent / "static" / "playground"
NOT_BUILT = (
    "调试台尚未构建,请运行 make install。"
    " The playground is not built yet: make install builds it.\n"
)

# CodeMirror and GraphiQL's menus insert <style> elements and style attributes.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


def playground_routes(static_dir: Path | None = None) -> list[BaseRoute]:
    assets = EncodedFiles(directory=static_dir or STATIC_DIR, check_dir=False)
    return [Mount("/playground", assets, name="playground")]


def playground_page(static_dir: Path | None = None) -> Response:
    page = (static_dir or STATIC_DIR) / "index.html"
    if not page.is_file():
        return PlainTextResponse(NOT_BUILT, status_code=503)
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Cache-Control": "no-cache",
        "Vary": "Accept",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return FileResponse(page, media_type="text/html", headers=headers)
