"""The card issuer: its signed events, the projections built from them, and placing an order."""

from core.issuer import change_order, deaths, event_store, place_order
from core.issuer.event_store import (
    ISSUER_CLOCK_SKEW,
    IssuerEvent,
    IssuerEventType,
    Outcome,
    StoredEvent,
    issuer_events_table,
)
from core.issuer.projections import OrderProjection, project_card, project_order
from core.issuer.signatures import SIGNERS, EventSigner, is_signed

__all__ = [
    "ISSUER_CLOCK_SKEW",
    "SIGNERS",
    "EventSigner",
    "IssuerEvent",
    "IssuerEventType",
    "OrderProjection",
    "Outcome",
    "StoredEvent",
    "change_order",
    "deaths",
    "event_store",
    "is_signed",
    "issuer_events_table",
    "place_order",
    "project_card",
    "project_order",
]
