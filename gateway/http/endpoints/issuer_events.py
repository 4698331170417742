"""`POST /issuer/events`: signed events of the card issuer, one or a batch.

Headers: `X-Issuer-Timestamp` (Unix seconds, at most five minutes off) and
`X-Issuer-Signature` (see `core/issuer/signatures.py`; a setting selects the algorithm).
The body is one event, or `{"events": [...]}` with at most 1,000 of them.
"""

import codecs
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.issuer import SIGNERS, IssuerEvent, Outcome, is_signed
from core.kernel.clock import MINUTE, SECOND, Instant
from core.kernel.refusals import OutcomeUnknown, TryAgainLater
from core.kernel.settings import Settings
from core.kernel.texts import Language
from core.services.issuer_events import MAX_AT_ONCE, apply_issuer_events
from gateway.http.edge import head_of
from gateway.resolvers.context import Application, Context
from gateway.resolvers.run import run

MAX_EVENTS = 1_000
CLOCK_SKEW = 5 * MINUTE

log = structlog.get_logger("issuer")


class UnreadableEvent(Exception):
    """An invalid event. The message does not quote its values."""


class _Batch(msgspec.Struct):
    events: list[IssuerEvent]


class _Shape(msgspec.Struct):
    events: msgspec.Raw = msgspec.Raw()


def issuer_events_endpoint(
    application: Application,
) -> Callable[[Request], Awaitable[Response]]:
    async def issuer_events(request: Request) -> Response:
        body = await request.body()
        if not _has_current_signature(
            application.dependencies.settings, request, body, application.clock()
        ):
            return _refused(401, "The signature or its time is not valid.")
        try:
            events = read_events(body)
        except UnreadableEvent as error:
            return _refused(400, str(error))
        if len(events) > MAX_EVENTS:
            return _refused(400, f"A batch has at most {MAX_EVENTS} events.")
        try:
            outcomes = await apply_all(application, events)
        except (TryAgainLater, OutcomeUnknown):
            return _refused(503, "The events cannot be stored now; send the batch again.")
        answer = [
            {"id": event.id, "outcome": outcome.value}
            for event, outcome in zip(events, outcomes, strict=True)
        ]
        return JSONResponse({"events": answer})

    return issuer_events


async def apply_all(application: Application, events: Sequence[IssuerEvent]) -> list[Outcome]:
    """Stores events in several transactions, so that citizens do not wait for a large batch.

    Raises `TryAgainLater` or `OutcomeUnknown`; events stored by then are recognised when the batch is sent again.
    """
    context = Context(application, Language.ZH, "", None)
    outcomes: list[Outcome] = []
    for first in range(0, len(events), MAX_AT_ONCE):
        some = events[first : first + MAX_AT_ONCE]
        outcomes += await run(context, apply_issuer_events, some, action=None)
    return outcomes


def read_events(body: bytes) -> list[IssuerEvent]:
    """Parses one event or a batch. Raises `UnreadableEvent`."""
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        if not bytes(msgspec.json.decode(body, type=_Shape).events):
            return [msgspec.json.decode(body, type=IssuerEvent)]
        return msgspec.json.decode(body, type=_Batch).events
    except msgspec.ValidationError as error:
        raise UnreadableEvent(f"The events cannot be read: {error}.") from None
    except (msgspec.DecodeError, RecursionError):
        raise UnreadableEvent("The events are not valid JSON.") from None


def _has_current_signature(settings: Settings, request: Request, body: bytes, now: Instant) -> bool:
    head = head_of(request)
    timestamp = head.text(b"x-issuer-timestamp")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    if abs(int(timestamp) * SECOND - now) > CLOCK_SKEW:
        return False
    key = settings.issuer_event_key.reveal().encode()
    signature = head.text(b"x-issuer-signature")
    return is_signed(SIGNERS[settings.issuer_event_signer], key, timestamp, body, signature)


def _refused(status: int, message: str) -> Response:
    log.warning("issuer.refused", status=status)
    headers = {"WWW-Authenticate": "Signature"} if status == 401 else None
    return JSONResponse({"error": message}, status_code=status, headers=headers)
