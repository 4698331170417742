"""A platform's access token, as the workers of the gateway share it."""

from dataclasses import dataclass, field

from core.kernel.clock import Instant


@dataclass(frozen=True, slots=True)
class StoredToken:
    value: str = field(repr=False)
    fetched_at: Instant
    fresh_until: Instant
