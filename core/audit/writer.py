"""Background writer of the access log and the anchors.

A read of personal data is recorded in memory; within a second the records of all subjects are
written in one transaction, so that a read costs no durable write of its own. If writing has failed for
`REFUSE_AFTER_SECONDS`, or `MAX_WAITING` records wait, reads are refused rather than served without a record.
"""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec
import structlog

from core.audit import access_log, anchors, log
from core.audit.log import Action, AuditRecord
from core.crypto import Seals
from core.db import Database, DatabaseUnavailable, Transaction, UniqueViolation
from core.kernel.callers import Caller
from core.kernel.clock import SECOND, Instant, Monotonic, monotonic_clock
from core.kernel.refusals import TryAgainLater

FLUSH_SECONDS = 0.5
INDEX_SECONDS = 30
REFUSE_AFTER_SECONDS = 5
MAX_WAITING = 50_000
STOP_SECONDS = 20
"""How long the process waits at its end for a database that cannot be written."""
_AT_ONCE = 500
"""Records per transaction, so that it blocks other writers only briefly."""

_log = structlog.get_logger("audit")


class AccessLogWriter:
    def __init__(
        self,
        database: Database,
        seals: Seals,
        clock: Callable[[], Instant],
        anchor_seconds: int,
        monotonic: Monotonic = monotonic_clock,
    ) -> None:
        self._database = database
        self._seals = seals
        self._clock = clock
        self._monotonic = monotonic
        self._anchor_every = anchor_seconds * SECOND
        self._waiting: list[AuditRecord] = []
        self._waiting_since = 0
        self._is_failing = False
        self._flushing = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_behind(self) -> bool:
        """Whether so little could be written lately that reads are refused."""
        if not self._is_failing:
            return False
        waits = self._monotonic() - self._waiting_since
        return bool(self._waiting) and waits > REFUSE_AFTER_SECONDS * SECOND

    def record(self, caller: Caller, now: Instant, action: Action, result: str = log.DONE) -> None:
        """Records that the caller viewed their own data. Call it before the data is sent."""
        subject_id = caller.citizen_id or caller.session_id
        self.add(AuditRecord(subject_id, now, action, result, caller.channel, caller.session_id))

    def record_link(self, subject_id: int, now: Instant, action: Action) -> None:
        """As `record`, for an access through a signed link."""
        self.add(AuditRecord(subject_id, now, action, log.DONE, log.LINK, 0))

    def add(self, record: AuditRecord) -> None:
        """Raises `TryAgainLater` if too many records wait, or one for too long."""
        if len(self._waiting) >= MAX_WAITING or self.is_behind:
            raise TryAgainLater(retry_after=5)
        if not self._waiting:
            self._waiting_since = self._monotonic()
        self._waiting.append(record)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="access-log-writer")

    async def stop(self) -> None:
        """Writes the remaining records; what cannot be written goes to the application log."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        deadline = self._monotonic() + int(STOP_SECONDS * SECOND)
        await self.flush()
        while self._waiting and self._monotonic() < deadline:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()
        for record in self._waiting:
            _log.error("audit.unwritten", **msgspec.structs.asdict(record))

    async def flush(self) -> None:
        """Writes the waiting records; those that cannot be written keep waiting."""
        async with self._flushing:
            left = len(self._waiting)
            while left > 0:
                some = self._waiting[:_AT_ONCE]
                try:
                    await self._append(some)
                except (DatabaseUnavailable, UniqueViolation) as error:
                    self._is_failing = True
                    reason = f"{type(error).__name__}: {error}"
                    _log.warning("audit.waiting", entries=len(self._waiting), reason=reason)
                    return
                except Exception:
                    self._is_failing = True
                    _log.exception("audit.failed", entries=len(self._waiting))
                    return
                self._is_failing = False
                del self._waiting[: len(some)]
                self._waiting_since = self._monotonic()
                left -= len(some)

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
        anchored_at = indexed_at = self._monotonic()
        while not self._stopping.is_set():
            try:
                await self.flush()
                if self._monotonic() - indexed_at >= INDEX_SECONDS * SECOND:
                    indexed_at = self._monotonic()
                    await self.index()
                if self._monotonic() - anchored_at >= self._anchor_every:
                    anchored_at = self._monotonic()
                    await self.anchor()
            except (DatabaseUnavailable, UniqueViolation) as error:
                _log.warning("audit.unavailable", reason=type(error).__name__)
            except Exception:
                _log.exception("audit.failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._stopping.wait()
