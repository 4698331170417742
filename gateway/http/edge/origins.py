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
from core.kernel.settings import Settings, split
from core.kernel.texts import Text
from gateway.http.edge.bad_requests import BadRequest
from gateway.http.edge.head import Head
from gateway.http.edge.negotiation import EVENT_STREAM, GRAPHQL_JSON, HTML, JSON, accepts

PREFLIGHT_HEADERS = frozenset(
    {
        b"authorization",
        b"graphql-preflight",
        b"x-requested-with",
        b"apollo-require-preflight",
        b"x-apollo-operation-name",
    }
)
SIMPLE_CONTENT_TYPES = (
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
)
"""Content types that need no preflight (Fetch Standard, CORS-safelisted)."""

Channels: TypeAlias = frozenset[ChannelId] | None
"""The channels that a page may use; None for all."""

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

    def channels_of(self, head: Head) -> Channels:
        """The channels that a request may use. Raises `BadRequest` for an unknown origin."""
        origin = head.get(b"origin")
        if origin is None:
            return None
        name = normal_origin(origin)
        if name is not None and name in self.listed:
            return self.listed[name]
        if name is not None and self._is_own(name, head.text(b"host")):
            return None
        raise BadRequest(_ORIGIN_NOT_ALLOWED, 403, "ORIGIN_NOT_ALLOWED")

    def cors_origin(self, head: Head) -> bytes | None:
        """The origin, if it is a listed front-end's and the response needs CORS headers."""
        origin = head.get(b"origin")
        if origin is None or normal_origin(origin) not in self.listed:
            return None
        return origin.encode("latin-1")

    def _is_own(self, origin: str, host: str) -> bool:
        """By the public address; without one by the Host header, if DNS rebinding is impossible."""
        if self.own:
            return origin in self.own
        return urlsplit(origin).netloc == host.lower() and _is_safe_from_rebinding(origin)


def require_csrf_safe_request(method: str, head: Head) -> None:
    """Raises `BadRequest` for a request that a foreign page could send without a preflight."""
    if head.has_any(PREFLIGHT_HEADERS):
        return
    if method == "POST":
        is_safe = head.content_type not in SIMPLE_CONTENT_TYPES
    else:
        is_safe = _is_not_from_a_foreign_page(head)
    if not is_safe:
        raise BadRequest(_MISSING_HEADER, 403, "PREFLIGHT_REQUIRED")


def wants_html(method: str, head: Head) -> bool:
    """Whether a browser navigates to the URL: it gets the playground, and executes nothing."""
    opened = method == "GET" and accepts(head.accept, HTML)
    return opened and not head.has_any(PREFLIGHT_HEADERS)


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


def _is_not_from_a_foreign_page(head: Head) -> bool:
    """For a GET. Browsers mark cross-origin requests by `Origin` or `Sec-Fetch-Site`.

    A request with neither is from a program or an old browser: it must accept JSON explicitly,
    or be a `fetch` in CORS mode, which would have an `Origin` if it were cross-origin.
    """
    if head.get(b"origin") is not None:
        return True  # checked already
    site = head.get(b"sec-fetch-site")
    if site is not None and site != "none":
        return site == "same-origin"
    in_cors_mode = head.get(b"sec-fetch-mode") == "cors"
    return in_cors_mode or accepts(head.accept, GRAPHQL_JSON, JSON, EVENT_STREAM)


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
