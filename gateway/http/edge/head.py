"""The only reader of request headers: every way in reads a request through `Head`.

Repeated list headers are joined (RFC 9110 section 5.3). A header that is no list has one meaning
only if it occurs once, so a second one is refused instead of choosing.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

from msgspec import Struct
from starlette.requests import HTTPConnection
from starlette.types import Scope

from core.kernel.texts import Language, Text
from gateway.http.edge.bad_requests import BadRequest
from gateway.http.edge.negotiation import media_type, preferred_language

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

HEAD_KEY = "card_gateway.head"
"""Key in the scope: the `Head` of the request."""

SINGLETONS = frozenset(
    {
        b"access-control-request-method",
        b"apollo-require-preflight",
        b"authorization",
        b"content-length",
        b"content-range",
        b"content-type",
        b"date",
        b"from",
        b"graphql-preflight",
        b"host",
        b"idempotency-key",
        b"if-modified-since",
        b"if-range",
        b"if-unmodified-since",
        b"last-event-id",
        b"max-forwards",
        b"origin",
        b"proxy-authorization",
        b"range",
        b"referer",
        b"sec-fetch-dest",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"user-agent",
        b"x-apollo-operation-name",
        b"x-card-channel",
        b"x-device-key",
        b"x-issuer-signature",
        b"x-issuer-timestamp",
        b"x-requested-with",
    }
)
LISTS = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"content-encoding",
        b"expect",
        b"forwarded",
        b"if-none-match",
        b"transfer-encoding",
        b"upgrade",
        b"x-forwarded-for",
        b"x-forwarded-proto",
    }
)
"""Those that the gateway reads. Other repeated headers are joined too; nobody reads them."""
_READ = SINGLETONS | LISTS

MAX_CONTENT_TYPE = 256
DEVICE_KEY_CHARACTERS = range(16, 201)
_MAX_HOST = 262
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(:[0-9]{0,5})?")

_TOO_LONG = Text("请求头 Content-Type 过长。", "The header Content-Type is too long.")
_HOST_ONCE = Text(
    "请求须含且仅含一个有效的 Host 请求头。", "A request must have exactly one valid Host header."
)


class Head(Struct, frozen=True):
    """The headers of a request, each name once."""

    values: Mapping[bytes, bytes]

    def __repr__(self) -> str:
        """Without values: they may be personal data."""
        return "Head()"

    def get(self, name: bytes) -> str | None:
        """Raises `KeyError` for a name of which it is not declared whether it is a list."""
        if name not in _READ:
            raise KeyError(name)
        value = self.values.get(name)
        return None if value is None else value.decode("latin-1")

    def text(self, name: bytes) -> str:
        return self.get(name) or ""

    def has_any(self, names: frozenset[bytes]) -> bool:
        return not names.isdisjoint(self.values)

    @property
    def language(self) -> Language:
        return preferred_language(self.text(b"accept-language"))

    @property
    def accept(self) -> str:
        return self.text(b"accept")

    @property
    def accept_encoding(self) -> str:
        return self.text(b"accept-encoding")

    @property
    def media_type(self) -> str:
        """Of a GraphQL response."""
        return media_type(self.accept)

    @property
    def content_type(self) -> str:
        """In lower case, without parameters."""
        return _essence(self.values.get(b"content-type", b""))

    def pairs(self) -> Iterable[tuple[bytes, bytes]]:
        return self.values.items()

    @property
    def raw(self) -> RawHeaders:
        return list(self.values.items())


NO_HEADERS = Head({})


def read_head(raw: RawHeaders, http_version: str = "1.1") -> Head:
    """`raw` with names in lower case, as ASGI requires. Raises `BadRequest`."""
    values = dict(raw)
    if len(values) != len(raw):
        values = _joined(raw)
    host = values.get(b"host")
    if not _is_host(host) and not (host is None and http_version == "1.0"):
        raise BadRequest(_HOST_ONCE)
    if len(values.get(b"content-type", b"")) > MAX_CONTENT_TYPE:
        raise BadRequest(_TOO_LONG)
    return Head(_with_valid_key(values))


def head_of(connection: HTTPConnection) -> Head:
    """The head that the outermost middleware has read."""
    head: Head = connection.scope[HEAD_KEY]
    return head


def read_scope(scope: Scope) -> Head:
    """Reads the head and stores it; libraries, too, then see each header once."""
    head = read_head(list(scope["headers"]), scope.get("http_version", "1.1"))
    scope[HEAD_KEY], scope["headers"] = head, head.raw
    return head


def head_of_parameters(parameters: Mapping[object, object]) -> Head:
    """Reads connection parameters of a WebSocket as the headers that browsers cannot set there.

    Raises `BadRequest`.
    """
    given: RawHeaders = []
    for name, value in parameters.items():
        lowered = str(name).lower().encode("latin-1", "replace")
        if lowered in _FROM_PARAMETERS:
            given.append((lowered, _parameter(lowered, value)))
    return Head(_with_valid_key(_joined(given)))


_FROM_PARAMETERS = frozenset(
    {b"accept-language", b"authorization", b"x-card-channel", b"x-device-key"}
)


def _parameter(name: bytes, value: object) -> bytes:
    try:
        if isinstance(value, str):
            return value.encode("latin-1")
    except UnicodeEncodeError:
        pass
    shown = name.decode()
    raise BadRequest(
        Text(f"连接参数 {shown} 无效。", f"The connection parameter {shown} is not valid.")
    )


def _joined(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in raw:
        found.setdefault(name, []).append(value)
    for name, values in found.items():
        if len(values) > 1 and name in SINGLETONS:
            shown = name.decode()
            raise BadRequest(
                Text(f"请求头 {shown} 只能出现一次。", f"The header {shown} must occur only once.")
            )
    return {
        name: (b"; " if name == b"cookie" else b", ").join(values) for name, values in found.items()
    }


@lru_cache(maxsize=256)
def _essence(content_type: bytes) -> str:
    return content_type.partition(b";")[0].strip().lower().decode("latin-1")


def _with_valid_key(values: dict[bytes, bytes]) -> dict[bytes, bytes]:
    key = values.get(b"x-device-key")
    if key is not None and len(key) not in DEVICE_KEY_CHARACTERS:
        raise BadRequest("X-Device-Key must have 16 to 200 characters.")
    return values


def _is_host(host: bytes | None) -> bool:
    return host is not None and len(host) <= _MAX_HOST and _matches_host(host)


@lru_cache(maxsize=64)
def _matches_host(host: bytes) -> bool:
    return _HOST.fullmatch(host.decode("latin-1")) is not None
