"""Which lane of the access log this process writes to: one that works, kept until it fails."""

import asyncio
import secrets
from collections.abc import Callable, Sequence

from core.audit import access_log
from core.audit.access_log import LANES
from core.audit.log import AuditRecord
from core.crypto import Seals
from core.db import Database, Transaction
from core.kernel.clock import Instant


class Lanes:
    def __init__(self, database: Database, seals: Seals, clock: Callable[[], Instant]) -> None:
        self._database = database
        self._seals = seals
        self._clock = clock
        self.current = secrets.choice(LANES)
        """Each process begins with another, so that they seldom wait for each other."""

    async def write(self, records: Sequence[AuditRecord], lane: int = 0) -> Exception | None:
        """Writes a batch, to the current lane unless another is given; returns why it could not."""

        async def job(db: Transaction) -> None:
            await access_log.append(db, self._seals, self._clock(), lane or self.current, records)

        try:
            await self._database.write(job)
        except Exception as error:
            return error
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
