"""The card issuer: its signed events, the projections built from them, and placing an order."""

from core.issuer import event_store, place_order
from core.issuer.event_store import (
    IssuerEvent,
    IssuerEventType,
    KeptEvent,
    Outcome,
    issuer_events_table,
)
from core.issuer.projections import OrderTold, tell_card, tell_order
from core.issuer.signatures import SIGNERS, EventSigner, is_signed

__all__ = [
    "SIGNERS",
    "EventSigner",
    "IssuerEvent",
    "IssuerEventType",
    "KeptEvent",
    "OrderTold",
    "Outcome",
    "event_store",
    "is_signed",
    "issuer_events_table",
    "place_order",
    "tell_card",
    "tell_order",
]
