"""The authorize page of a platform: it asks its user, and redirects back with a code."""

from collections.abc import Callable
from html import escape
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from core.kernel.settings import split
from sandbox.personas import PERSONAS, Persona

_PAGE = """<!doctype html>
<html lang="zh"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><h1>{title}</h1><p>选择要登录的人</p><ul>{choices}</ul></html>
"""


def answer_page(
    request: Request,
    *,
    title: str,
    app_id: tuple[str, str],
    redirect: str,
    domains: str,
    authorize: Callable[[Persona], str],
) -> Response:
    """Rejects an unknown app or redirect host with an error page, as the platforms do.

    `app_id` is the parameter's name and the value expected; `redirect` the parameter's name.
    """
    query = request.query_params
    address = query.get(redirect, "")
    if query.get(app_id[0]) != app_id[1]:
        return HTMLResponse("应用不存在", status_code=400)
    if urlsplit(address).hostname not in split(domains):
        return HTMLResponse("redirect_uri 参数错误", status_code=400)
    persona = PERSONAS.get(query.get("persona", ""))
    if persona is None:
        return HTMLResponse(_PAGE.format(title=escape(title), choices=_choices(request)))
    back = urlencode({"code": authorize(persona), "state": query.get("state", "")})
    return RedirectResponse(f"{address}{'&' if '?' in address else '?'}{back}", status_code=302)


def _choices(request: Request) -> str:
    return "".join(
        f'<li><a href="{escape(str(request.url.include_query_params(persona=persona.id)))}">'
        f"{escape(persona.name)} {escape(persona.description)}</a></li>"
        for persona in PERSONAS.values()
    )
