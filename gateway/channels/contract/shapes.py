"""What passes between the channels' adapters, their base and the rest of the gateway."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from core.kernel.callers import RealNameLevel
from core.kernel.clock import Instant
from core.kernel.refusals import Text
from core.services.channel_events import ChannelEventType
from core.unit_of_work import Dependencies, Preparation, UnitOfWork

C = TypeVar("C")
T = TypeVar("T")


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
class Entry:
    """What a front-end sends to sign its citizen in. `address` is the network's."""

    credential: str = field(repr=False)
    state: str = field(default="", repr=False)
    verifier: str = field(default="", repr=False)
    device_key: str | None = field(default=None, repr=False)
    address: str = field(default="", repr=False)


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

    `event` is its own word, `type` ours. Its retries carry the same `key`, a replay the same
    `nonce`: either is dropped. `message_number` and `delivery` are of a message that we sent.
    """

    event: str
    account: str = field(repr=False)
    key: str = field(repr=False)
    nonce: str
    fields: Mapping[str, str] = field(repr=False)
    type: ChannelEventType = ChannelEventType.OTHER
    message_number: str = ""
    delivery: str = ""


@dataclass(frozen=True, slots=True)
class CallbackResponse:
    """What the platform hears from us, and the work that could not keep it waiting."""

    body: bytes
    media_type: str = "text/plain"
    unfinished: Awaitable[None] | None = None


class ServicePort(Protocol):
    """Through which a channel reaches the services (`gateway/resolvers/service_port.py`)."""

    @property
    def dependencies(self) -> Dependencies: ...

    def now(self) -> Instant: ...

    async def run(self, service: Callable[[UnitOfWork, C], Awaitable[T]], command: C) -> T:
        """In a transaction of its own, which is committed unless it is refused."""
        ...

    async def read(self, service: Callable[[Preparation, C], Awaitable[T]], command: C) -> T: ...
