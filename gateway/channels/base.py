"""The contract that every channel keeps.

A channel exchanges the credential that its app handed to the front-end for an identity,
trusting only what a server-side call to the platform returned. Adapters keep no
per-request state: settings and the HTTP client are given to them once.

What not every platform offers (a bridge for the page, messages, callbacks) is refused loudly
by this base, until an adapter fills it in.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import httpx

from core.callers import ChannelId, RealNameLevel
from core.clock import MINUTE, Instant
from core.errors import NotOfferedHere, SignInExpired, Text
from core.settings import Settings

CLOCK_SKEW = 5 * MINUTE
"""How far a platform's clock may be from ours, either way."""

_STATE = re.compile(r"[A-Za-z0-9]{1,128}")
_CREDENTIAL = re.compile(r"[!-~]{1,512}")


class ForgedCallback(Exception):
    """A call that the platform did not make, or not now, or not like this. Says no more."""


class Undeliverable(Exception):
    """The platform will not deliver to this account, now or later; `code` is its own."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class EntryStep:
    """One step from opening the app to the card services, in the guide's words."""

    order: int
    title: Text
    instruction: Text


@dataclass(frozen=True, slots=True)
class Identity:
    """What a platform vouches for. `account` is its stable user key."""

    account: str = field(repr=False)
    level: RealNameLevel
    lifetime_seconds: int
    name: str | None = field(default=None, repr=False)
    social_security_number: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """A message by a template that the operator registered with the platform.

    `values` fill the template in its order; `url` opens when the citizen taps the message.
    """

    template_id: str
    text: str = field(repr=False)
    values: Mapping[str, str] = field(repr=False)
    url: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """What a platform told us by a callback that proved genuine.

    A platform's retries carry the same `key`, a replay the same `nonce`: either is dropped.
    """

    event: str
    account: str = field(repr=False)
    key: str = field(repr=False)
    nonce: str
    fields: Mapping[str, str] = field(repr=False)


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
        """The platform's page that asks the citizen and comes back with a code, or None.

        Raises `InvalidFormat(field="redirectUri")` for an address outside the permitted domains.
        """

    @abstractmethod
    async def identify(self, credential: str, now: Instant) -> Identity:
        """Exchanges the app's credential, by server-side calls only.

        Raises `SignInExpired`, `RealNameRequired`, `VirtualAccount` or `ChannelUnavailable`.
        """

    async def bridge(self, page_url: str, now: Instant) -> Mapping[str, str]:
        """What the page at `page_url` passes to the app's script bridge before it may use it.

        Raises `NotOfferedHere`, `InvalidFormat(field="pageUrl")` or `ChannelUnavailable`.
        """
        raise NotOfferedHere

    async def send(self, account: str, message: Message, now: Instant) -> str:
        """Sends to one account, at most once, and returns the platform's number of the message.

        Raises `NotOfferedHere`, `Undeliverable` or `ChannelUnavailable`; after the last it is
        not known whether the message went out.
        """
        raise NotOfferedHere

    def check_url(self, query: Mapping[str, str], now: Instant) -> str:
        """What answers a platform that asks whether the callback's address is ours.

        Raises `NotOfferedHere` or `ForgedCallback`.
        """
        raise NotOfferedHere

    def verify_callback(self, query: Mapping[str, str], body: bytes, now: Instant) -> Notification:
        """Reads what the platform posted to us. Raises `NotOfferedHere` or `ForgedCallback`."""
        raise NotOfferedHere

    def _sent_by_app(self, credential: str) -> str:
        """The credential, if an app could have sent it: nothing else is worth a call."""
        if _CREDENTIAL.fullmatch(credential) is None:
            raise self._sign_in_expired()
        return credential

    def _sign_in_expired(self) -> SignInExpired:
        return SignInExpired(app=self.app_name)


def checked_state(state: str) -> str:
    """Both platforms with a state take letters and digits only, at most 128 bytes."""
    if _STATE.fullmatch(state) is None:
        raise ValueError("a state is 1 to 128 ASCII letters and digits")
    return state


def is_current(timestamp: str, now: Instant) -> bool:
    """Whether a timestamp in whole seconds, as ten digits, lies within the permitted skew."""
    if re.fullmatch(r"[0-9]{10}", timestamp) is None:
        return False
    return abs(int(timestamp) * 1000 - now) <= CLOCK_SKEW
