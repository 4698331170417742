"""The unit of work: everything that a service gets besides its command.

A service reads with `unit.db`, without a lock, decides, and collects what it changes in `unit.writes`;
`perform` applies them together. If somebody else changed the same person meanwhile, nothing is
written and the service runs again, in a new unit. Slow work (calling a partner, hashing a password)
is done once, by a function of its own, which gets a `Preparation` and runs before.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from core.cards import Holder, holders
from core.citizens import Citizen, Hasher, Head, citizens, heads
from core.crypto import Seals, Vault
from core.db import Reader, Writes
from core.isolation import IsolatedPool
from core.kernel.callers import Caller
from core.kernel.clock import Instant
from core.kernel.refusals import NotBound, Refusal
from core.kernel.settings import Settings
from core.partners import Partners
from core.reference import Reference
from core.storage import Objects


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


class _Request(Struct, frozen=True):
    """Who asks, when, and what serves them."""

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
        """The session's citizen. Raises `NotBound`."""
        return require_citizen_id(self.caller)


class UnitOfWork(_Request, frozen=True):
    """`heads` are those that were read, by subject. After the commit the worker delivers the messages
    of the subjects in `outbox_of`, and the live subscriptions of those in `progress_of` wake up.

    `held` are messages that are delivered before the caller is answered, each with the refusal that the
    caller gets if the partner rejects it."""

    writes: Writes = msgspec.field(default_factory=Writes)
    heads: dict[int, Head] = msgspec.field(default_factory=dict)
    outbox_of: set[int] = msgspec.field(default_factory=set)
    progress_of: set[int] = msgspec.field(default_factory=set)
    held: list[tuple[Any, Refusal]] = msgspec.field(default_factory=list)

    async def holder(self, citizen_id: int = 0) -> Holder:
        """The session's holder, or that of `citizen_id`, for a change.

        Read it before anything else of the person: what others change from then on until the commit
        makes the service run again.
        """
        vault = self.dependencies.vault
        holder = await holders.find(self.db, vault, self.now, citizen_id or self.citizen_id)
        self.heads[holder.citizen.id] = holder.head
        if not citizen_id:
            holder.citizen.must_be_alive()
        return holder

    async def citizen(self, citizen_id: int = 0) -> Citizen:
        """As `holder`, for a change that cards and applications do not matter to."""
        found = await citizens.find_with_head(
            self.db, self.dependencies.vault, citizen_id or self.citizen_id
        )
        citizen, self.heads[citizen.id] = found
        if not citizen_id:
            citizen.must_be_alive()
        return citizen

    async def head(self, subject_id: int) -> Head:
        if subject_id not in self.heads:
            self.heads[subject_id] = await heads.find(self.db, subject_id)
        return self.heads[subject_id]

    async def touch(self, subject_id: int) -> None:
        """Guards a change without an audit entry."""
        heads.move(self.writes, subject_id, await self.head(subject_id))


class Preparation(_Request, frozen=True):
    """Like a `UnitOfWork`, but it changes nothing, so that it may wait for partners."""


def require_citizen_id(caller: Caller | None) -> int:
    assert caller is not None, "the resolver asked for no session"
    if caller.citizen_id is None:
        raise NotBound
    return caller.citizen_id
