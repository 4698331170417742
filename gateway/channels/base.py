"""The contract that every channel keeps.

A channel exchanges the credential that its app handed to the front-end for an identity,
trusting only what a server-side call to the platform returned. Adapters keep no
per-request state: settings and the HTTP client are given to them once.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import httpx

from core.callers import ChannelId, RealNameLevel
from core.clock import Instant
from core.errors import Text
from core.settings import Settings


@dataclass(frozen=True, slots=True)
class EntryStep:
    """One step from opening the app to the card services, in the guide's words."""

    order: int
    title: Text
    instruction: Text


@dataclass(frozen=True, slots=True)
class Identity:
    """What a platform vouches for. `account` is its stable user key; the rest only where it does."""

    account: str = field(repr=False)
    level: RealNameLevel
    lifetime_seconds: int
    name: str | None = field(default=None, repr=False)
    social_security_number: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)


class Channel(ABC):
    id: ClassVar[ChannelId]
    name: ClassVar[Text]
    app_name: ClassVar[Text]
    entry_steps: ClassVar[Sequence[EntryStep]]
    binding_required: ClassVar[bool]
    """Whether the platform vouches for nobody, so that the person binds once."""
    uses_state: ClassVar[bool]
    """Whether the platform hands back a `state`, which must then be one that we issued."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http

    @abstractmethod
    def authorize_url(self, redirect_uri: str, state: str) -> str | None:
        """The platform's page that asks the citizen and comes back with a code; None where it has none.

        Raises `InvalidFormat(field="redirectUri")` for an address outside the permitted domains.
        """

    @abstractmethod
    async def identify(self, credential: str, now: Instant) -> Identity:
        """Exchanges the app's credential, by server-side calls only.

        Raises `SignInExpired`, `RealNameRequired`, `VirtualAccount` or `ChannelUnavailable`.
        """
