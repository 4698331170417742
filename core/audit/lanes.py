"""Which lane of the access log this process writes to: one that works, kept until it fails."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from core.audit import access_log
from core.audit.access_log import LANES, Batch
from core.audit.log import AuditRecord
from core.crypto import Seals
from core.db import CommitUnknown, Database, Transaction
from core.kernel.clock import SECOND, Instant, Monotonic

DOUBT_SECONDS = 4
"""How long a lane that gives no answer is asked for a batch, while another lane works."""

_log = structlog.get_logger("audit")


@dataclass(slots=True)
class Doubt:
    """A batch whose commit was not answered. On SQLite its job may still have to begin."""

    records: Sequence[AuditRecord]
    since: int
    batch: Batch | None = None


class Lanes:
    def __init__(
        self,
        database: Database,
        seals: Seals,
        clock: Callable[[], Instant],
        monotonic: Monotonic,
    ) -> None:
        self._database = database
        self._seals = seals
        self._clock = clock
        self._monotonic = monotonic
        self.in_doubt: list[Doubt] = []
        self.current = secrets.choice(LANES)
        """Each process begins with another, so that they seldom wait for each other."""

    async def write(self, records: Sequence[AuditRecord], lane: int = 0) -> Exception | None:
        """Writes a batch, to the current lane unless another is given; returns why it could not.

        After `CommitUnknown` the batch is in doubt, and must be settled before it is written again.
        """
        lane = lane or self.current
        doubt = Doubt(records, self._monotonic())

        async def job(db: Transaction) -> None:
            doubt.batch = await access_log.append(db, self._seals, self._clock(), lane, records)

        try:
            await self._database.write(job)
        except Exception as error:
            if records and isinstance(error, CommitUnknown):
                self.in_doubt.append(doubt)
            return error
        return None

    async def settle(self) -> list[AuditRecord]:
        """The records of batches in doubt that were written. The others may be written again.

        A lane that gives no answer leaves its batch in doubt, for as long as `DOUBT_SECONDS` if another
        works: then its records are rather written twice than not at all.
        """
        written: list[AuditRecord] = []
        for doubt in self.in_doubt[:]:
            answer = await self._was_written(doubt)
            if answer is None:
                waited = self._monotonic() - doubt.since
                if waited < DOUBT_SECONDS * SECOND or not await self.find():
                    continue
                _log.warning("audit.maybe_twice", entries=len(doubt.records))
            self.in_doubt.remove(doubt)
            if answer:
                written += doubt.records
        return written

    async def _was_written(self, doubt: Doubt) -> bool | None:
        """None if the lane gives no answer."""

        async def job(db: Transaction) -> bool:
            if doubt.batch is None:
                return False
            return await access_log.was_written(db, self._seals, self._clock(), doubt.batch)

        try:
            return await self._database.write(job)
        except Exception:
            return None

    async def find(self) -> bool:
        """Whether a lane works. Keeps the current one if it does, else changes to the first that does."""
        if await self._works(self.current):
            return True
        others = [asyncio.create_task(self._works(lane)) for lane in LANES if lane != self.current]
        try:
            for answer in asyncio.as_completed(others):
                if lane := await answer:
                    self.current = lane
                    return True
        finally:
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        return False

    async def _works(self, lane: int) -> int | None:
        """The lane if an empty batch can be written to it."""
        return lane if await self.write([], lane) is None else None
