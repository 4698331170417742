"""Which pages may call, and which requests a page could not have sent unasked.

Both are judged from the headers alone, before a byte of the body is read. A browser names
the page's origin with every request that crosses origins and with every POST; and it asks
first (a preflight) before it sends a header or a content type that a form cannot. So a
request that may run something either carries such a header, or has such a content type,
or is a GET that only programs send: one that accepts JSON and nothing of a page.
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
"""What a page may send to another origin without asking (Fetch Standard, CORS-safelisted)."""

Channels: TypeAlias = frozenset[ChannelId] | None
"""Those for which a page may speak; None for every channel."""

_READ_BY_PROGRAMS = (GRAPHQL_JSON.encode(), JSON.encode(), b"text/event-stream")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FOREIGN_PAGE = Text(
    "不接受来自该网页来源的请求；请由渠道前端访问，或联系运维将来源加入名单。",
    "Pages of this origin may not call; use the channel's front-end, or have the origin listed.",
)
_MISSING_HEADER = Text(
    "该请求可由任意网页发出，未予执行：请使用 Content-Type: application/json，"
    "或加上请求头 GraphQL-Preflight: 1。",
    "Any page could have sent this request, so nothing was run: "
    "use Content-Type: application/json, or add the header GraphQL-Preflight: 1.",
)


@dataclass(frozen=True, slots=True)
class Origins:
    """`own` is where the gateway itself is reached; `listed` names the front-ends' origins."""

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
        """The channels for which a request may speak. Raises for a foreign page."""
        origin = headers.get(b"origin")
        if origin is None:
            return None
        name = normal_origin(origin.decode("latin-1"))
        if name is not None and name in self.listed:
            return self.listed[name]
        if name is not None and self._is_own(name, headers.get(b"host", b"").decode("latin-1")):
            return None
        raise BadRequest(_FOREIGN_PAGE, 403, "ORIGIN_NOT_ALLOWED")

    def crosses(self, headers: Headers) -> bytes | None:
        """The origin of a listed front-end that needs CORS headers in its answer."""
        origin = headers.get(b"origin")
        listed = origin is not None and normal_origin(origin.decode("latin-1")) in self.listed
        return origin if listed else None

    def _is_own(self, origin: str, host: str) -> bool:
        """By the public address; without one by the Host header, where no name can be rebound."""
        if self.own:
            return origin in self.own
        return urlsplit(origin).netloc == host.lower() and _cannot_be_rebound(origin)


def require_csrf_safe_request(method: str, headers: Headers) -> None:
    """Refuses what a foreign page could send without being asked (CSRF)."""
    if any(name in headers for name in PREFLIGHT_HEADERS):
        return
    if method == "POST":
        content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        on_purpose = content_type not in SIMPLE_CONTENT_TYPES
    else:
        on_purpose = _is_a_programs(headers)
    if not on_purpose:
        raise BadRequest(_MISSING_HEADER, 403, "PREFLIGHT_REQUIRED")


def wants_html(method: str, headers: Headers) -> bool:
    """A browser that opens the address: it gets the playground or nothing, and runs nothing."""
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


def _is_a_programs(headers: Headers) -> bool:
    """Of a GET. A browser marks what it sends across origins, by `Origin` or `Sec-Fetch-Site`.

    Without either mark it is a program's or an old browser's: then it must accept JSON by
    name, or be a `fetch` in CORS mode, whose origin would stand in it if it crossed any.
    """
    if b"origin" in headers:
        return True  # judged already
    site = headers.get(b"sec-fetch-site", b"none")
    if site != b"none":
        return site == b"same-origin"
    accept = headers.get(b"accept", b"")
    in_cors_mode = headers.get(b"sec-fetch-mode") == b"cors"
    return in_cors_mode or any(kind in accept for kind in _READ_BY_PROGRAMS)


def _cannot_be_rebound(origin: str) -> bool:
    """Another's name may be made to lead here (DNS rebinding); an address or localhost not."""
    host = urlsplit(origin).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return True


def _normal(origins: str) -> list[str]:
    return [name for text in split(origins) if (name := normal_origin(text)) is not None]
