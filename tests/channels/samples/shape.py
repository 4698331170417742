"""What a channel's samples file says about its platform, so that one suite tests them all.

It defines `SAMPLES: Samples`. Every name, number and key in it is made up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from core.kernel.refusals import Refusal
from core.kernel.settings import Settings
from gateway.channels.contract import Identity


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the gateway to the platform and the reply that goes well."""

    name: str
    method: str
    url: str
    reply: Mapping[str, Any]
    repeatable: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A reply of the platform that says no, and what the citizen is told."""

    call: str
    reply: Mapping[str, Any]
    refusal: type[Refusal]


Sent: TypeAlias = tuple[dict[str, str], bytes]
"""Query and body of a call of the platform to us."""

Make: TypeAlias = Callable[[Settings, int], Sent]
"""Makes one that is sent at a second, with a nonce of its own."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the platform posts to us when the persona `active` leaves.

    `forged` ones were never signed by the platform; `tampered` ones were, and then changed.
    """

    make: Make
    taken: bytes
    """The answer that ends the platform's repeats."""
    forged: Mapping[str, Make]
    tampered: Mapping[str, Make]


@dataclass(frozen=True, slots=True)
class Samples:
    """`calls` are those of one first sign-in, in order; `secrets` must never be shown.

    `others` are calls that a refused sign-in may make; `callbacks` is None where the platform
    calls nothing.
    """

    credential: str
    identity: Identity
    calls: Sequence[Call]
    used: Refused
    refusals: Sequence[Refused]
    secrets: Sequence[str]
    others: Sequence[Call] = ()
    callbacks: Callbacks | None = None
