"""Call statistics of a partner, per process, for metrics and the health endpoint."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from core.kernel.breaker import Breaker


class CallResult(StrEnum):
    DONE = "done"
    NOT_ACCEPTED = "not_accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    CIRCUIT_OPEN = "circuit_open"


@dataclass(slots=True)
class PartnerHealth:
    """`seconds` is the total duration of all calls; `calls` counts them by path and result."""

    name: str
    breaker: Breaker
    calls: Counter[tuple[str, CallResult]] = field(default_factory=Counter)
    seconds: float = 0.0
    last: CallResult | None = None

    def record(self, path: str, result: CallResult, seconds: float) -> None:
        self.calls[path, result] += 1
        self.seconds += seconds
        self.last = result

    @property
    def state(self) -> str:
        """`unavailable` while the breaker is open; `failing` after a call that failed."""
        if self.breaker.is_open:
            return "unavailable"
        if self.last in (CallResult.NOT_ACCEPTED, CallResult.UNKNOWN):
            return "failing"
        return "ok" if self.last is not None else "not asked yet"
