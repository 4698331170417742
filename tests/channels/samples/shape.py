"""The samples of a platform, from which one suite tests all channels.

A samples file defines `SAMPLES: Samples`. Every name, number and key in it is made up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from core.kernel.refusals import Refusal
from core.kernel.settings import Settings
from gateway.channels.contract import Identity


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the gateway to the platform, and a successful reply.

    `fetches_token`: it gets the app's token, which workers share.
    """

    name: str
    method: str
    url: str
    reply: Mapping[str, Any]
    repeatable: bool
    fetches_token: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A reply by which the platform refuses a call, and the resulting refusal."""

    call: str
    reply: Mapping[str, Any]
    refusal: type[Refusal]


Sent: TypeAlias = tuple[dict[str, str], bytes]
"""Query and body of a callback."""

Make: TypeAlias = Callable[[Settings, int], Sent]
"""Makes a callback sent at a time in seconds, with a new nonce."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The callback by which the persona `active` withdraws.

    The `forged` ones were not signed by the platform; the `tampered` ones were changed after it.
    """

    make: Make
    taken: bytes
    """The response that ends the platform's retries."""
    forged: Mapping[str, Make]
    tampered: Mapping[str, Make]


@dataclass(frozen=True, slots=True)
class Samples:
    """`settings` are those of the platform; `calls` those of one first sign-in, in order.

    `secrets` must never be shown. `others` are calls that a refused sign-in may make;
    `callbacks` is None for a platform without callbacks.
    """

    settings: Mapping[str, str]
    credential: str
    identity: Identity
    calls: Sequence[Call]
    used: Refused
    refusals: Sequence[Refused]
    secrets: Sequence[str]
    others: Sequence[Call] = ()
    callbacks: Callbacks | None = None
