"""Plain types between the adapters, their base class and the rest of the gateway."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from core.kernel.callers import RealNameLevel
from core.kernel.clock import Instant
from core.kernel.texts import Text
from core.services.channel_events import ChannelEventType
from core.unit_of_work import Dependencies, Preparation, UnitOfWork

C = TypeVar("C")
T = TypeVar("T")


class ForgedCallback(Exception):
    """A callback that is not genuine or not current. It carries no reason, so nothing can leak."""


class Undeliverable(Exception):
    """The platform permanently refuses to deliver to this account; `code` is its error code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class EntryStep:
    """One step from opening the app to the card services, in the guide's words."""

    order: int
    title: Text
    instruction: Text


def numbered_steps(*instructions: Text) -> tuple[EntryStep, ...]:
    """At most nine, in the order in which they are taken."""
    return tuple(
        EntryStep(
            order, Text(f"第{'一二三四五六七八九'[order - 1]}步", f"Step {order}"), instruction
        )
        for order, instruction in enumerate(instructions, 1)
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """What a front-end sends to sign a citizen in. `address` is the network address."""

    credential: str = field(repr=False)
    state: str = field(default="", repr=False)
    verifier: str = field(default="", repr=False)
    device_key: str | None = field(default=None, repr=False)
    address: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a platform proves about a user. `account` is its stable user id."""

    account: str = field(repr=False)
    level: RealNameLevel
    lifetime_seconds: int
    name: str | None = field(default=None, repr=False)
    social_security_number: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """A message by a template that the operator registered with the platform.

    `values` fill the template, in order; tapping the message opens `url`.
    """

    template_id: str
    text: str = field(repr=False)
    values: Mapping[str, str] = field(repr=False)
    url: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """The content of a verified callback.

    `event` is the platform's name for it, `type` ours. A retry has the same `key`, a replay the
    same `nonce`: both are dropped. `message_number` and `delivery` refer to a message we sent.
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
    """The response to a callback. `unfinished` is work that goes on after the response."""

    body: bytes
    media_type: str = "text/plain"
    unfinished: Awaitable[None] | None = None


class ServicePort(Protocol):
    """How a channel runs services; implemented in `gateway/resolvers/service_port.py`."""

    @property
    def dependencies(self) -> Dependencies: ...

    def now(self) -> Instant: ...

    async def run(self, service: Callable[[UnitOfWork, C], Awaitable[T]], command: C) -> T:
        """In a transaction of its own, which is rolled back if the service refuses."""
        ...

    async def read(self, service: Callable[[Preparation, C], Awaitable[T]], command: C) -> T: ...
