"""What a channel's samples file says about its platform, so that one suite tests them all.

It defines `SAMPLES: Samples`. Every name, number and key in it is made up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import Refusal
from gateway.channels.shapes import Identity


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


@dataclass(frozen=True, slots=True)
class Samples:
    """`calls` are those of one first sign-in, in order; `secrets` must never be shown.

    `others` are calls that a refused sign-in may make.
    """

    credential: str
    identity: Identity
    calls: Sequence[Call]
    used: Refused
    refusals: Sequence[Refused]
    secrets: Sequence[str]
    others: Sequence[Call] = ()
