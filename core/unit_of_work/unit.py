"""The unit of work: everything that a service gets besides its command.

A service runs inside one transaction and awaits nothing but `unit.db`. Slow work (calling a partner,
hashing a password) is done by a function of its own, which gets a `Preparation` and runs before the
transaction.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

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

DbT = TypeVar("DbT", bound=Reader)


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The objects that are built once, at startup, and given to every service."""

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
        """Stops the thread and process pools."""
        self.hasher.close()
        for pool in (self.pictures_pool, self.receipts_pool, self.reading_pool):
            if pool is not None:
                pool.close()


class _Request(Struct, Generic[DbT], frozen=True):
    """Who asks, when, and what serves them."""

    db: DbT
    now: Instant
    caller: Caller | None
    dependencies: Dependencies

    @property
    def session(self) -> Caller:
        assert self.caller is not None, "the resolver asked for no session"
        return self.caller

    @property
    def citizen_id(self) -> int:
        """The session's citizen. Raises `NotBound`."""
        return require_citizen_id(self.caller)


class UnitOfWork(_Request[Transaction], frozen=True):
    """Whoever commits wakes the worker for the subjects in `outbox_of`, who have new messages, and
    the subscriptions to the citizens in `progress_of`, whose production progress changed."""

    outbox_of: set[int] = msgspec.field(default_factory=set)
    progress_of: set[int] = msgspec.field(default_factory=set)


class Preparation(_Request[Reader], frozen=True):
    """Like a `UnitOfWork`, but outside any transaction, so that it may wait for partners."""


def require_citizen_id(caller: Caller | None) -> int:
    assert caller is not None, "the resolver asked for no session"
    if caller.citizen_id is None:
        raise NotBound
    return caller.citizen_id
