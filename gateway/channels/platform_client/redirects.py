"""Validation of redirect URLs."""

import re
from urllib.parse import urlsplit

from core.kernel.refusals import InvalidFormat
from core.kernel.texts import Text

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_MAX_LENGTH = 1024
_ADDRESS = re.compile(
    r"https?://[A-Za-z0-9.\-\[\]:]+(?:[/?][A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]*)?"
)
"""Only characters that all browsers and URL parsers treat alike, and no user name."""


def check_address(address: str, hosts: list[str], field: str) -> None:
    """Raises `InvalidFormat` for the field unless the address is https on one of the hosts.

    Loopback hosts may use http.
    """
    if len(address) > _MAX_LENGTH or _ADDRESS.fullmatch(address) is None:
        raise _invalid(field)
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as cause:
        raise _invalid(field) from cause
    if host not in hosts or (parts.scheme != "https" and host not in _LOOPBACK):
        raise _invalid(field)


def _invalid(field: str) -> InvalidFormat:
    return InvalidFormat(
        field=field,
        label=Text("网页地址", "The page address"),
        rule=Text("须为本渠道已登记域名下的 https 地址", "an https address on a registered domain"),
    )
