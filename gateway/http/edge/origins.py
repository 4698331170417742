"""Permitted origins, and protection against CSRF. Both use the headers only.

A browser sends `Origin` with every cross-origin request and every POST, and it sends a
preflight before a request with a header or a content type that an HTML form cannot produce.
So an operation is executed only if the request has such a header or content type, or is a GET
that no HTML page can trigger: one that accepts JSON and no page.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self, TypeAlias
from urllib.parse import urlsplit

from core.kernel.callers import ChannelId
from core.kernel.refusals import Text
from core.kernel.settings import Settings, split
from gateway.http.edge.bad_requests import GRAPHQL_JSON, JSON, BadRequest

Headers: TypeAlias = Mapping[bytes, bytes]
"""Names in lower case."""

PREFLIGHT_HEADERS = (
    b"authorization",
    b"graphql-preflight",
    b"x-requested-with",
    b"apollo-require-preflight",
    b"x-apollo-operation-name",
)
SIMPLE_CONTENT_TYPES = (
    b"",
    b"text/plain",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data",
)
"""Content types that need no preflight (Fetch Standard, CORS-safelisted)."""

Channels: TypeAlias = frozenset[ChannelId] | None
"""The channels that a page may use; None for all."""

_API_MEDIA_TYPES = (GRAPHQL_JSON.encode(), JSON.encode(), b"text/event-stream")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN_NOT_ALLOWED = Text(
    "不接受来自该网页来源的请求；请由渠道前端访问，或联系运维将来源加入名单。",
    "Pages of this origin are not permitted: use the channel's front-end, or ask the operator to "
    "list the origin.",
)
_MISSING_HEADER = Text(
    "该请求可由任意网页发出，未予执行：请使用 Content-Type: application/json，"
    "或加上请求头 GraphQL-Preflight: 1。",
    "Any web page could have sent this request, so it was not executed: "
    "use Content-Type: application/json, or add the header GraphQL-Preflight: 1.",
)


@dataclass(frozen=True, slots=True)
class Origins:
    """`own` are the origins of the gateway itself, `listed` those of front-ends."""

    own: frozenset[str]
    listed: Mapping[str, Channels]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        listed: dict[str, Channels] = {}
        for channel in ChannelId:
            for origin in _normal(getattr(settings, f"{channel.value.lower()}_origins")):
                listed[origin] = (listed.get(origin) or frozenset()) | {channel}
        listed |= dict.fromkeys(_normal(settings.allowed_origins))
        return cls(frozenset(_normal(settings.public_url)), listed)

    def channels_of(self, headers: Headers) -> Channels:
        """The channels that a request may use. Raises `BadRequest` for an unknown origin."""
        origin = headers.get(b"origin")
        if origin is None:
            return None
        name = normal_origin(origin.decode("latin-1"))
        if name is not None and name in self.listed:
            return self.listed[name]
        if name is not None and self._is_own(name, headers.get(b"host", b"").decode("latin-1")):
            return None
        raise BadRequest(_ORIGIN_NOT_ALLOWED, 403, "ORIGIN_NOT_ALLOWED")

    def cors_origin(self, headers: Headers) -> bytes | None:
        """The origin, if it is a listed front-end's and the response needs CORS headers."""
        origin = headers.get(b"origin")
        listed = origin is not None and normal_origin(origin.decode("latin-1")) in self.listed
        return origin if listed else None

    def _is_own(self, origin: str, host: str) -> bool:
        """By the public address; without one by the Host header, if DNS rebinding is impossible."""
        if self.own:
            return origin in self.own
        return urlsplit(origin).netloc == host.lower() and _is_safe_from_rebinding(origin)


def require_csrf_safe_request(method: str, headers: Headers) -> None:
    """Raises `BadRequest` for a request that a foreign page could send without a preflight."""
    if any(name in headers for name in PREFLIGHT_HEADERS):
        return
    if method == "POST":
        content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        is_safe = content_type not in SIMPLE_CONTENT_TYPES
    else:
        is_safe = _is_not_from_a_foreign_page(headers)
    if not is_safe:
        raise BadRequest(_MISSING_HEADER, 403, "PREFLIGHT_REQUIRED")


def wants_html(method: str, headers: Headers) -> bool:
    """Whether a browser navigates to the URL: it gets the playground, and executes nothing."""
    opened = method == "GET" and b"text/html" in headers.get(b"accept", b"")
    return opened and not any(name in headers for name in PREFLIGHT_HEADERS)


@lru_cache(maxsize=64)
def normal_origin(text: str) -> str | None:
    """Scheme, host and port in lower case, without a default port (RFC 6454 section 6)."""
    try:
        parts = urlsplit(text.strip().lower())
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not host or parts.path.strip("/") or parts.query:
        return None
    shown = f"[{host}]" if ":" in host else host
    if port is None or port == _DEFAULT_PORTS[parts.scheme]:
        return f"{parts.scheme}://{shown}"
    return f"{parts.scheme}://{shown}:{port}"


def _is_not_from_a_foreign_page(headers: Headers) -> bool:
    """For a GET. Browsers mark cross-origin requests by `Origin` or `Sec-Fetch-Site`.

    A request with neither is from a program or an old browser: it must accept JSON explicitly,
    or be a `fetch` in CORS mode, which would have an `Origin` if it were cross-origin.
    """
    if b"origin" in headers:
        return True  # checked already
    site = headers.get(b"sec-fetch-site", b"none")
    if site != b"none":
        return site == b"same-origin"
    accept = headers.get(b"accept", b"")
    in_cors_mode = headers.get(b"sec-fetch-mode") == b"cors"
    return in_cors_mode or any(kind in accept for kind in _API_MEDIA_TYPES)


def _is_safe_from_rebinding(origin: str) -> bool:
    """IP addresses and localhost are; any other name may point here (DNS rebinding)."""
    host = urlsplit(origin).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return True


def _normal(origins: str) -> list[str]:
    return [name for text in split(origins) if (name := normal_origin(text)) is not None]
