"""The unit of work: all that a service is given besides its command.

A service runs inside one transaction and awaits nothing but `unit.db`. What must be
fetched or computed first (a partner's answer, a password's hash) is done by its own
preparatory function, which gets an `Preparation` and runs before the transaction.
"""

from dataclasses import dataclass
from enum import StrEnum

import msgspec
from msgspec import Struct

from core.citizens import Hasher
from core.crypto import Seals, Vault
from core.db import Reader, Transaction
from core.isolation import IsolatedPool
from core.kernel.callers import Caller
from core.kernel.clock import Instant
from core.kernel.refusals import NotBound
from core.kernel.settings import Settings
from core.partners import Partners
from core.reference import Reference
from core.storage import Objects


class Signal(StrEnum):
    """What the rest of the process is told once a unit is committed."""

    OUTBOX = "OUTBOX"


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What is built once, where the application is put together."""

    settings: Settings
    vault: Vault
    seals: Seals
    reference: Reference
    partners: Partners
    hasher: Hasher
    objects: Objects
    pictures_pool: IsolatedPool
    receipts_pool: IsolatedPool
    reading_pool: IsolatedPool | None

    def close(self) -> None:
        """Ends the threads and processes that were started."""
        self.hasher.close()
        for pool in (self.pictures_pool, self.receipts_pool, self.reading_pool):
            if pool is not None:
                pool.close()


class UnitOfWork(Struct, frozen=True):
    """`signals` are dispatched after the commit; `progress_of` names citizens whose production moved."""

    db: Transaction
    now: Instant
    caller: Caller | None
    dependencies: Dependencies
    signals: set[Signal] = msgspec.field(default_factory=set)
    progress_of: set[int] = msgspec.field(default_factory=set)

    @property
    def session(self) -> Caller:
        assert self.caller is not None, "the resolver asked for no session"
        return self.caller

    @property
    def citizen_id(self) -> int:
        """The person behind the session; refuses until one is known."""
        return require_citizen_id(self.caller)


class Preparation(Struct, frozen=True):
    """As a unit, but outside any transaction: it may wait for the outside world."""

    db: Reader
    now: Instant
    caller: Caller | None
    dependencies: Dependencies

    @property
    def session(self) -> Caller:
        assert self.caller is not None, "the resolver asked for no session"
        return self.caller

    @property
    def citizen_id(self) -> int:
        return require_citizen_id(self.caller)


def require_citizen_id(caller: Caller | None) -> int:
    assert caller is not None, "the resolver asked for no session"
    if caller.citizen_id is None:
        raise NotBound
    return caller.citizen_id
