"""HTTP endpoints other than GraphQL: callbacks, issuer events, pictures, samples, receipts, uploads, health."""

from gateway.http.endpoints.callbacks import callback_routes
from gateway.http.endpoints.health import (
    bare_readyz_endpoint,
    healthz,
    metrics_endpoint,
    readyz_endpoint,
)
from gateway.http.endpoints.issuer_events import (
    UnreadableEvent,
    apply_all,
    issuer_events_endpoint,
    read_events,
)
from gateway.http.endpoints.pictures import picture_endpoint
from gateway.http.endpoints.receipts import receipt_endpoint
from gateway.http.endpoints.record_ids import RecordId
from gateway.http.endpoints.samples import sample_routes
from gateway.http.endpoints.unavailable import unavailable
from gateway.http.endpoints.uploads import upload_endpoint

__all__ = [
    "RecordId",
    "UnreadableEvent",
    "apply_all",
    "bare_readyz_endpoint",
    "callback_routes",
    "healthz",
    "issuer_events_endpoint",
    "metrics_endpoint",
    "picture_endpoint",
    "read_events",
    "readyz_endpoint",
    "receipt_endpoint",
    "sample_routes",
    "unavailable",
    "upload_endpoint",
]
