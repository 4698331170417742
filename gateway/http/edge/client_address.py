"""The client's network address, behind reverse proxies that the operator has named.

Only a trusted peer is believed, and only in the one header that `forwarded_header` names: a
proxy that sets `X-Forwarded-For` passes a client's own `Forwarded` through. The header is read
from the right, since each proxy adds the address that it saw at the right end; the first one
that is not of a trusted proxy is the client's, and whatever stands left of it is hearsay.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Self

from core.kernel.settings import Network, Settings, trusted_networks

MAX_HOPS = 16
"""Proxies in a row. Beyond that the header is not read on."""
_MAX_FORWARDED_BYTES = 4_096
_CACHED_ADDRESSES = 4_096
_MAX_ADDRESS = 64

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[^"\\]|\\.)*+"'
_PAIR = re.compile(rb"(%b)=(%b|%b)" % (_TOKEN, _TOKEN, _QUOTED))
_NEXT = re.compile(rb"[ \t]*([;,])[ \t]*")
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


class TrustedProxies:
    """Its answers are cached in a dict, since worker processes get a pickled copy."""

    def __init__(self, networks: tuple[Network, ...], header: str) -> None:
        self._networks = networks
        self._header = header.encode()
        self._trusted: dict[str, bool] = {}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(trusted_networks(settings.trusted_proxies), settings.forwarded_header)

    def trusts(self, address: str) -> bool:
        """`address` as `client` returns it."""
        found = self._trusted.get(address)
        if found is None:
            if len(self._trusted) >= _CACHED_ADDRESSES:
                self._trusted.clear()
            found = self._trusted[address] = self._is_in_networks(address)
        return found

    def _is_in_networks(self, address: str) -> bool:
        if not self._networks or canonical(address) is None:
            return False
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._networks)

    def client(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The last known address if the header is missing, malformed, or hides it."""
        known = canonical(peer) or peer
        if not self.trusts(known):
            return known
        values = [value for name, value in headers if name == self._header]
        addresses = _from_the_right(values, is_standard=self._header == b"forwarded")
        for _, address in zip(range(MAX_HOPS), addresses, strict=False):
            if address is None:
                return known
            known = address
            if not self.trusts(known):
                return known
        return known


@lru_cache(_CACHED_ADDRESSES)
def canonical(text: str) -> str | None:
    """One text for one address: IPv4 in IPv6 as IPv4, without zone; None for anything else."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _from_the_right(values: list[bytes], *, is_standard: bool) -> Iterator[str | None]:
    """Of several header lines, the last was added last. None for what is not an address."""
    for value in reversed(values):
        nodes = _nodes(value) if is_standard else value.rsplit(b",", MAX_HOPS)
        for node in reversed(nodes):
            yield _address(node.strip(b" \t"))


def _nodes(value: bytes) -> list[bytes]:
    """The `for` of each element of a `Forwarded` header (RFC 7239); empty where there is none.

    A malformed line names nobody: a client may have opened a quote for a proxy to close.
    """
    nodes, element, position = list[bytes](), dict[bytes, bytes](), 0
    while len(value) <= _MAX_FORWARDED_BYTES:
        pair = _PAIR.match(value, position)
        if pair is None:
            break
        name = pair[1].lower()
        if name in element:
            break
        element[name] = pair[2]
        if pair.end() == len(value):
            return [*nodes, _unquoted(element.get(b"for", b""))]
        separator = _NEXT.match(value, pair.end())
        if separator is None:
            break
        if separator[1] == b",":
            nodes.append(_unquoted(element.get(b"for", b"")))
            element = {}
        position = separator.end()
    return [b""]


def _unquoted(text: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", text[1:-1]) if text.startswith(b'"') else text


def _address(node: bytes) -> str | None:
    """With or without a port. None for `unknown`, for obfuscated names and for anything else."""
    text = node.decode("latin-1")
    if "%" in text or len(text) > _MAX_ADDRESS:
        return None
    found = _WITH_PORT.fullmatch(text)
    return canonical(text if found is None else found[1] or found[2])
