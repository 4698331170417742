"""The edge: origins, CSRF, CORS, body sizes, security headers, and responses to bad requests."""

from gateway.http.edge.bad_requests import (
    GRAPHQL_JSON,
    JSON,
    BadRequest,
    media_type,
    preferred_language,
)
from gateway.http.edge.client_address import TrustedProxies
from gateway.http.edge.credentials import (
    CHANNEL_HEADER,
    DEVICE_HEADER,
    DEVICE_KEY_CHARACTERS,
    authenticate,
    bearer_token,
    device_key,
)
from gateway.http.edge.edge import (
    CHANNELS_KEY,
    ENDPOINT,
    EdgeMiddleware,
    RawHeaders,
    cors_headers,
    headers_for_data,
)
from gateway.http.edge.origins import Origins, wants_html

__all__ = [
    "CHANNELS_KEY",
    "CHANNEL_HEADER",
    "DEVICE_HEADER",
    "DEVICE_KEY_CHARACTERS",
    "ENDPOINT",
    "GRAPHQL_JSON",
    "JSON",
    "BadRequest",
    "EdgeMiddleware",
    "Origins",
    "RawHeaders",
    "TrustedProxies",
    "authenticate",
    "bearer_token",
    "cors_headers",
    "device_key",
    "headers_for_data",
    "media_type",
    "preferred_language",
    "wants_html",
]
