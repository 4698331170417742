"""How long a database may take, and how much of it a process uses."""

from dataclasses import dataclass, replace
from typing import Self

_PATIENT_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """SQLite knows the first one only."""

    deadline_seconds: float = 1.5
    """For a whole read or write: waiting for a connection, repetitions and commit included."""
    acquire_seconds: float = 1.0
    """For a connection from the pool, be it free or new."""
    statement_seconds: float = 1.0
    """After which the server itself ends a statement."""
    pool_size: int = 16
    statement_cache: bool = True
    """Whether prepared statements are kept, which a pooler may not bear."""

    def patient(self) -> Self:
        """For commands of operators, which read or write much at once."""
        return replace(self, deadline_seconds=_PATIENT_SECONDS, statement_seconds=_PATIENT_SECONDS)
