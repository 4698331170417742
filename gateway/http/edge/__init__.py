"""The edge: origins, CSRF, CORS, body sizes, security headers, and responses to bad requests."""

from gateway.http.edge.bad_requests import BadRequest, session_unreadable
from gateway.http.edge.client_address import TrustedProxies
from gateway.http.edge.credentials import (
    authenticate,
    bearer_token,
    claimed_channel,
    device_key,
)
from gateway.http.edge.edge import (
    CHANNELS_KEY,
    ENDPOINT,
    FORM,
    EdgeMiddleware,
    cors_headers,
    headers_for_data,
)
from gateway.http.edge.encoded_files import EncodedFiles
from gateway.http.edge.encodings import ENCODINGS
from gateway.http.edge.head import (
    NO_HEADERS,
    Head,
    RawHeaders,
    head_of,
    head_of_parameters,
    read_head,
)
from gateway.http.edge.negotiation import (
    EVENT_STREAM,
    GRAPHQL_JSON,
    JSON,
    accepts,
    media_type,
    preferred_encoding,
)
from gateway.http.edge.origins import Origins, wants_html

__all__ = [
    "CHANNELS_KEY",
    "ENCODINGS",
    "ENDPOINT",
    "EVENT_STREAM",
    "FORM",
    "GRAPHQL_JSON",
    "JSON",
    "NO_HEADERS",
    "BadRequest",
    "EdgeMiddleware",
    "EncodedFiles",
    "Head",
    "Origins",
    "RawHeaders",
    "TrustedProxies",
    "accepts",
    "authenticate",
    "bearer_token",
    "claimed_channel",
    "cors_headers",
    "device_key",
    "head_of",
    "head_of_parameters",
    "headers_for_data",
    "media_type",
    "preferred_encoding",
    "read_head",
    "session_unreadable",
    "wants_html",
]
