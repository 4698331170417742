"""What the card issuer posts: signed events, one by one or in batches.

Headers: `X-Issuer-Timestamp` (Unix seconds, at most five minutes off) and
`X-Issuer-Signature` (lowercase hex HMAC-SHA-256 of timestamp, `.` and body).
"""

import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.clock import MINUTE, SECOND, Instant, instant
from core.errors import Language, TryAgainLater
from core.production import NodeResult, ProductionNode
from core.services.issuer_events import IssuerEvent, IssuerEventType, take_issuer_event
from core.settings import Settings
from gateway.resolvers.context import Application, Context
from gateway.resolvers.run import run

MOST_EVENTS = 1_000
PERMITTED_SKEW = 5 * MINUTE

log = structlog.get_logger("issuer")


class EventIn(msgspec.Struct, rename="camel", kw_only=True):
    id: str
    type: IssuerEventType
    at: datetime
    order_number: str | None = None
    node: ProductionNode | None = None
    result: NodeResult | None = None
    reason: str | None = None
    batch_number: str | None = None
    card_number: str | None = None
    social_security_number: str | None = None

    def to_core(self) -> IssuerEvent:
        return IssuerEvent(
            id=self.id,
            type=self.type,
            at=instant(self.at),
            order_number=self.order_number,
            node=self.node,
            result=self.result,
            reason=self.reason and self.reason[:200],
            batch_number=self.batch_number,
            card_number=self.card_number,
            social_security_number=self.social_security_number,
        )


class EventsIn(msgspec.Struct):
    events: list[EventIn]


def issuer_events_endpoint(
    application: Application,
) -> Callable[[Request], Awaitable[Response]]:
    async def issuer_events(request: Request) -> Response:
        body = await request.body()
        if not is_signed(application.tools.settings, request, body, application.clock()):
            return _refused(401, "The signature or its time is not valid.")
        try:
            batch = msgspec.json.decode(body, type=EventsIn)
        except msgspec.DecodeError as error:
            return _refused(400, f"The events cannot be read: {error}.")
        if len(batch.events) > MOST_EVENTS:
            return _refused(400, f"A batch has at most {MOST_EVENTS} events.")
        if any(event.at.tzinfo is None or len(event.id) > 64 for event in batch.events):
            return _refused(
                400, "An event needs an id of at most 64 characters and an offset in `at`."
            )
        context = Context(application, Language.ZH, "", None)
        try:
            outcomes = [
                {"id": event.id, "outcome": await run(context, take_issuer_event, event.to_core())}
                for event in batch.events
            ]
        except TryAgainLater:
            return _refused(503, "Nothing more could be taken now; send the batch again.")
        return JSONResponse({"events": outcomes})

    return issuer_events


def is_signed(settings: Settings, request: Request, body: bytes, now: Instant) -> bool:
    timestamp = request.headers.get("x-issuer-timestamp", "")
    signature = request.headers.get("x-issuer-signature", "")
    if not (timestamp.isascii() and timestamp.isdigit() and signature.isascii()):
        return False
    if len(timestamp) > 12 or abs(int(timestamp) * SECOND - now) > PERMITTED_SKEW:
        return False
    key = settings.issuer_event_key.reveal().encode()
    expected = hmac.new(key, f"{timestamp}.".encode() + body, "sha256").hexdigest()
    return bool(key) and hmac.compare_digest(expected, signature)


def _refused(status: int, message: str) -> Response:
    log.warning("issuer.refused", status=status)
    return JSONResponse({"error": message}, status_code=status)
