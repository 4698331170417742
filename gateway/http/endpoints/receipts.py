"""Receipts: `GET /receipts/{id}.pdf`, by signed links, and `GET /receipts/check`, where their QR codes
lead anybody.

The PDFs are rendered in a worker process of their own.
"""

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from core.audit import Action
from core.isolation import PoolBusy, ProcessingFailed
from core.kernel.line_breaks import unbroken
from core.kernel.refusals import OutcomeUnknown, Refusal, TooManyTries, TryAgainLater
from core.kernel.texts import Language, Text
from core.production import print_receipt, receipts
from core.services.verify_receipt import VerifyReceipt, verify_receipt
from gateway.http.edge import head_of
from gateway.http.endpoints.pictures import Endpoint
from gateway.resolvers.context import Application, Context
from gateway.resolvers.run import run
from gateway.resolvers.signed_links import LinkKind, opened

log = structlog.get_logger("receipts")

_AGAIN_SECONDS = 5
_STATUS = {TooManyTries: 429, TryAgainLater: 503, OutcomeUnknown: 503}
_TITLE = Text("社会保障卡受理回执核验", "Verification of a social security card receipt")
_GENUINE = Text("回执有效。受理日期：", "The receipt is genuine. Accepted on: ")
_ASK = Text(
    "请输入纸质回执上的申请编号和核验码。",
    "Please enter the application number and the check code that are printed on the receipt.",
)
_NUMBER, _CODE, _VERIFY = (
    Text("申请编号", "Application number"),
    Text("核验码", "Check code"),
    Text("核验", "Verify"),
)
_NOT_OURS = Text(
    "没有查到与此编号和核验码相符的回执，请核对后再试；如有疑问请拨打 028-12333。",
    "No receipt has this number and check code. Please check them; for help, call 028-12333.",
)


def receipt_check_endpoint(application: Application) -> Endpoint:
    async def check(request: Request) -> Response:
        context = Context(
            application=application,
            language=head_of(request).language,
            address=request.client.host if request.client else "",
            caller=None,
        )
        given = request.query_params
        if not given.get("number") and not given.get("code"):
            return _page(context, _ASK.in_language(context.language))
        command = VerifyReceipt(given.get("number", ""), given.get("code", ""), context.address)
        try:
            found = await run(context, verify_receipt, command, action=None)
        except Refusal as refusal:
            return _page(context, refusal.message(context.language), _STATUS[type(refusal)])
        if found.accepted_on is None:
            return _page(context, _NOT_OURS.in_language(context.language))
        return _page(
            context,
            f"{_GENUINE.in_language(context.language)}{found.accepted_on:%Y-%m-%d}",
        )

    return check


def _page(context: Context, text: str, status: int = 200) -> Response:
    """`text` holds nothing that the request brought."""
    language = "en" if context.language is Language.EN else "zh-CN"
    title = _TITLE.in_language(context.language)
    return HTMLResponse(
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><h1>{title}</h1><p>{unbroken(text)}</p>{_form(context.language)}</html>\n",
        status_code=status,
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'self';"
            " frame-ancestors 'none'",
            "Vary": "Accept-Language",
        },
    )


def _form(language: Language) -> str:
    number, code, verify = (text.in_language(language) for text in (_NUMBER, _CODE, _VERIFY))
    return (
        f'<form><p><label>{number} <input name="number" required></label></p>'
        f'<p><label>{code} <input name="code" required autocomplete="off"></label></p>'
        f"<p><button>{verify}</button></p></form>"
    )


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
            dependencies.seals,
            dependencies.reference,
            link.citizen_id,
            application_id,
            dependencies.settings.receipt_check_page,
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
