"""Background writer of the access log and the anchors.

A read of personal data is recorded in memory; within a second the records of all subjects are
written in one transaction, so that a read costs no durable write of its own. If writing fails for so
long that `MAX_WAITING` records wait, reads are refused rather than served without a record.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from core.audit import access_log, anchors, log
from core.audit.log import Action, AuditRecord
from core.crypto import Seals
from core.db import Database, DatabaseUnavailable, Transaction, UniqueViolation
from core.kernel.callers import Caller
from core.kernel.clock import SECOND, Instant
from core.kernel.refusals import TryAgainLater

FLUSH_SECONDS = 0.5
INDEX_SECONDS = 30
MAX_WAITING = 50_000
_AT_ONCE = 500
"""Records per transaction, so that it blocks other writers only briefly."""
_TRIES_AT_STOP = 3

_log = structlog.get_logger("audit")


class AccessLogWriter:
    def __init__(
        self,
        database: Database,
        seals: Seals,
        clock: Callable[[], Instant],
        anchor_seconds: int,
    ) -> None:
        self._database = database
        self._seals = seals
        self._clock = clock
        self._anchor_every = anchor_seconds * SECOND
        self._waiting: list[AuditRecord] = []
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def record(self, caller: Caller, now: Instant, action: Action, result: str = log.DONE) -> None:
        """Records that the caller viewed their own data. Call it before the data is sent."""
        subject_id = caller.citizen_id or caller.session_id
        self.add(AuditRecord(subject_id, now, action, result, caller.channel, caller.session_id))

    def record_link(self, subject_id: int, now: Instant, action: Action) -> None:
        """As `record`, for an access through a signed link."""
        self.add(AuditRecord(subject_id, now, action, log.DONE, log.LINK, 0))

    def add(self, record: AuditRecord) -> None:
        """Raises `TryAgainLater` if too many records wait."""
        if len(self._waiting) >= MAX_WAITING:
            raise TryAgainLater(retry_after=5)
        self._waiting.append(record)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="access-log-writer")

    async def stop(self) -> None:
        """Writes the remaining records."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        for _ in range(_TRIES_AT_STOP):
            if not self._waiting:
                return
            await self.flush()
        if self._waiting:
            _log.error("audit.lost", entries=len(self._waiting))

    async def flush(self) -> None:
        """Writes the waiting records; those that cannot be written keep waiting."""
        waiting, self._waiting = self._waiting, []
        for first in range(0, len(waiting), _AT_ONCE):
            try:
                await self._append(waiting[first : first + _AT_ONCE])
            except Exception as error:
                self._waiting = waiting[first:] + self._waiting
                if not isinstance(error, DatabaseUnavailable | UniqueViolation):
                    raise
                _log.warning(
                    "audit.waiting", entries=len(waiting) - first, reason=type(error).__name__
                )
                return

    async def index(self) -> None:
        """Indexes the written batches, and flushes new records in between."""
        while await access_log.index_batches(self._database) == access_log.INDEXED_AT_ONCE:
            await self.flush()

    async def anchor(self) -> None:
        anchored = await anchors.anchor_all(
            self._database, self._seals, self._clock(), self._anchor_every
        )
        for anchor in anchored:
            # The application log leaves this machine: a copy of the anchor outside the database.
            _log.info(
                "audit.anchored", number=anchor.number, heads=anchor.heads, anchor=str(anchor)
            )

    async def _append(self, records: list[AuditRecord]) -> None:
        async def job(db: Transaction) -> None:
            await access_log.append(db, self._seals, self._clock(), records)

        await self._database.write(job)

    async def _run(self) -> None:
        anchor_at = index_at = self._clock()
        while not self._stopping.is_set():
            try:
                await self.flush()
                if not 0 <= self._clock() - index_at < INDEX_SECONDS * SECOND:
                    index_at = self._clock()
                    await self.index()
                if not 0 <= self._clock() - anchor_at < self._anchor_every:
                    anchor_at = self._clock()
                    await self.anchor()
            except (DatabaseUnavailable, UniqueViolation) as error:
                _log.warning("audit.unavailable", reason=type(error).__name__)
            except Exception:
                _log.exception("audit.failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._stopping.wait()
