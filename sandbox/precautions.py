"""What keeps the sandbox from being switched on by mistake, beside real settings or real people."""

import ipaddress
from collections.abc import Iterator
from dataclasses import fields
from urllib.parse import urlsplit

from sqlalchemy import select

from core.citizens import citizens
from core.crypto import Vault
from core.db import Query, Reader
from core.kernel.settings import Secret, Settings, SettingsError, split, variable
from sandbox.personas import PERSONAS

_SOME_CITIZENS = Query(select(citizens.citizens_table.c.subject_id).limit(len(PERSONAS) + 1))


class OtherPeople(SettingsError):
    def __init__(self) -> None:
        super().__init__(
            "The database holds people whom the sandbox did not add: the sandbox leaves it alone. "
            f"Give it a database of its own ({variable('database_url')})."
        )


def require_intended(settings: Settings) -> None:
    """Raises `SettingsError` if the settings, as given, look like those of a real gateway."""
    signs = [] if settings.sandbox_confirmed else list(_signs_of_real_use(settings))
    if signs:
        raise SettingsError(
            "The sandbox signs anybody in as anyone, and it was switched on beside settings of a "
            f"real gateway: {', '.join(signs)}. If that is meant, say so with "
            f"`serve --confirm-sandbox` or {variable('sandbox_confirmed')}=true."
        )


def _signs_of_real_use(settings: Settings) -> Iterator[str]:
    if not _is_loopback(settings.host):
        yield f"{variable('host')} is {settings.host}"
    if not settings.database_url.startswith("sqlite:"):
        yield f"{variable('database_url')} is a database server"
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if value == entry.default or entry.name == "database_url":
            continue
        text = value.reveal() if isinstance(value, Secret) else str(value)
        if entry.name.endswith(("_url", "_origins", "_endpoint")):
            if not all(_is_loopback(urlsplit(part).hostname or "") for part in split(text)):
                yield f"{variable(entry.name)} is not on this machine"
        elif isinstance(value, Secret) or entry.name.endswith(("_app_id", "_bucket", "_proxies")):
            yield f"{variable(entry.name)} is given"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def holds_other_people(db: Reader, vault: Vault) -> bool:
    """Whether there are citizens who are no personas."""
    found = len(await db.fetch(_SOME_CITIZENS))
    if found > len(PERSONAS):
        return True
    numbers = [persona.social_security_number for persona in PERSONAS.values()]
    return found > len(await citizens.ids_of_numbers(db, vault, numbers))
