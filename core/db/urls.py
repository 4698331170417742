"""Reads the URL of a database. Driver names in it (`postgresql+asyncpg`) are ignored."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///(?P<path>[^?]+)(?:\?.*)?")
_POSTGRES = re.compile(
    r"postgresql(?:\+\w+)?://"
    r"(?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<hosts>[^@/?]*)(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?"
)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::(?P<port>\d{1,5}))?")
_ROLES = ("any", "primary", "read-write")
"""Values of `target_session_attrs` under which a server takes writes, or may."""


class WrongUrl(ValueError):
    """One sentence without a subject: what is wrong with the URL."""


class PostgresUrl:
    """`postgresql://user:password@host:port,host:port/name?option=value`."""

    def __init__(self, text: str) -> None:
        parts = _POSTGRES.fullmatch(text)
        if parts is None:
            raise WrongUrl("must be sqlite:///path or postgresql://user@host/name.")
        self._parts = parts
        self.hosts: list[str] = parts["hosts"].split(",")
        """Each with its port, if it is given; one empty name stands for the driver's default."""
        if len(self.hosts) > 1 or self.hosts[0]:
            for host in self.hosts:
                _check_host(host)
        options = dict(parse_qsl(parts["query"] or "", keep_blank_values=True))
        usual = "read-write" if len(self.hosts) > 1 else "any"
        self.role = options.get("target_session_attrs", usual)
        """Of several servers the one that takes writes is meant, unless the URL says otherwise."""
        if self.role not in _ROLES:
            raise WrongUrl(f"has target_session_attrs={self.role}, not {' or '.join(_ROLES)}.")

    def dsn(self, host: str) -> str:
        """The URL of one of its hosts, for the driver."""
        user, password, name, query = self._parts.group("user", "password", "name", "query")
        secret = "" if password is None else f":{_quoted(password)}"
        who = "" if user is None else f"{_quoted(user)}{secret}@"
        return f"postgresql://{who}{host}/{name or ''}" + (f"?{query}" if query else "")


def sqlite_path(text: str) -> Path | None:
    """The file of an SQLite database; None for another one."""
    parts = _SQLITE.fullmatch(text)
    return None if parts is None else Path(parts["path"])


def check_url(text: str) -> None:
    """Raises `WrongUrl`."""
    if sqlite_path(text) is None:
        PostgresUrl(text)


def _check_host(host: str) -> None:
    found = _HOST.fullmatch(host)
    if found is None or not 0 < int(found["port"] or 1) < 65_536:
        raise WrongUrl(f"names {host!r}, which is no host or host:port.")


def _quoted(text: str) -> str:
    return quote(unquote(text), safe="")
