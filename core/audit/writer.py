"""Background writer of the access log and the anchors.

A read of personal data is recorded in memory; within a second the records of all subjects are
written in one transaction, so that a read costs no durable write of its own.

If a batch cannot be written, an empty one is tried. If that cannot be written either, the fault is with
the lane, and another one that works is used from then on. If it can, the fault is with the subjects: the
batch is divided, down to the records that cannot be written although others can. These are set aside and
tried again from time to time, and only their subjects' reads are refused.

If the answer to a commit is lost, nothing else is written before it is known whether the batch was: no
record is written twice.

If no lane works, or nobody's records can be written, everything waits. Once that has lasted for
`REFUSE_AFTER_SECONDS`, or `MAX_WAITING` records wait in all, every read is refused rather than served
without a record.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable

import msgspec
import structlog

from core.audit import anchors, log
from core.audit.access_log import LANES
from core.audit.lanes import Lanes
from core.audit.log import Action, AuditRecord
from core.crypto import Seals
from core.db import Database, DatabaseUnavailable, UniqueViolation
from core.kernel.callers import Caller
from core.kernel.clock import SECOND, Instant, Monotonic, monotonic_clock
from core.kernel.refusals import TryAgainLater

FLUSH_SECONDS = 0.5
REFUSE_AFTER_SECONDS = 5
MAX_WAITING = 50_000
STOP_SECONDS = 20
"""How long the process waits at its end for a database that cannot be written."""
AGAIN_SECONDS = 5
"""How long records that were set aside wait until they are tried again."""
_AT_ONCE = 500
"""Records per transaction, so that it blocks other writers only briefly."""
_DIVISOR = 8
"""Of a batch that cannot be written: if each try hangs, a single record is reached after four."""
_TRIES = 16
"""Of one batch, before everything waits: enough for each lane, and to divide the batch."""
_IN_A_ROW = 20
"""Subjects whose records are set aside without one written in between, before all are at fault."""

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
        self._lanes = Lanes(database, seals, clock, monotonic)
        self._monotonic = monotonic
        self._anchor_every = anchor_seconds * SECOND
        self._waiting: list[AuditRecord] = []
        self._waiting_since = 0
        self._at_once = _AT_ONCE
        self._is_failing = False
        self._set_aside: list[AuditRecord] = []
        self._set_aside_in_a_row = 0
        self._set_aside_at_once = _AT_ONCE
        self._try_again_at = 0
        self._refused: frozenset[int] = frozenset()
        """Subjects of the records that are set aside."""
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
        """Raises `TryAgainLater` if too many records wait, one for too long, or one of the subject's
        that cannot be written."""
        if (
            len(self._waiting) + len(self._set_aside) >= MAX_WAITING
            or record.subject_id in self._refused
            or self.is_behind
        ):
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
        while (self._waiting or self._set_aside) and self._monotonic() < deadline:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()
        for record in (*self._set_aside, *self._waiting):
            _log.error("audit.unwritten", **msgspec.structs.asdict(record))

    async def flush(self) -> None:
        """Writes the waiting records; those that cannot be written keep waiting."""
        async with self._flushing:
            if self._lanes.in_doubt:
                self._drop(await self._lanes.settle())
            if not self._lanes.in_doubt:
                await self._write_waiting()
                await self._try_again()

    def _drop(self, written: list[AuditRecord]) -> None:
        """Records that were found written after all."""
        if not written:
            return
        places = set(map(id, written))
        self._waiting = [record for record in self._waiting if id(record) not in places]
        self._set_aside = [record for record in self._set_aside if id(record) not in places]
        self._waiting_since = self._monotonic()
        self._has_written()

    async def _write_waiting(self) -> None:
        left = len(self._waiting)
        while left > 0 and (settled := await self._settle_some(left)):
            del self._waiting[:settled]
            self._waiting_since = self._monotonic()
            left -= settled

    async def _settle_some(self, limit: int) -> int:
        """Writes the first records, or sets the first one aside; returns how many, 0 if it fails."""
        for _ in range(_TRIES):
            some = self._waiting[: min(self._at_once, limit)]
            lane = self._lanes.current
            error = await self._lanes.write(some)
            if error is None:
                self._at_once = min(2 * self._at_once, _AT_ONCE)
                self._has_written()
                return len(some)
            self._tell(error)
            if self._lanes.in_doubt or not await self._lanes.find():
                break
            if self._lanes.current != lane:
                continue
            if len(some) == 1:
                return self._put_aside()
            self._at_once = max(1, len(some) // _DIVISOR)
        self._is_failing = True
        return 0

    def _has_written(self) -> None:
        self._is_failing = False
        self._set_aside_in_a_row = 0

    def _put_aside(self) -> int:
        record = self._waiting[0]
        if record.subject_id not in self._refused:
            self._set_aside_in_a_row += 1
        if self._set_aside_in_a_row > _IN_A_ROW:
            self._is_failing = True
            self._waiting.append(self._waiting.pop(0))
            return 0
        self._set_aside.append(record)
        self._refused |= {record.subject_id}
        _log.error("audit.set_aside", **msgspec.structs.asdict(record))
        return 1

    async def _try_again(self) -> None:
        """Tries each record that is set aside once, but not for long."""
        began = self._monotonic()
        left = len(self._set_aside) if began >= self._try_again_at else 0
        while left > 0 and self._monotonic() - began < FLUSH_SECONDS * SECOND:
            some = self._set_aside[: min(self._set_aside_at_once, left)]
            error = await self._lanes.write(some, secrets.choice(LANES))
            del self._set_aside[: len(some)]
            if error is None:
                self._set_aside_at_once = min(2 * self._set_aside_at_once, _AT_ONCE)
                self._has_written()
            else:
                self._set_aside_at_once = max(1, len(some) // _DIVISOR)
                self._set_aside += some
                self._try_again_at = began + AGAIN_SECONDS * SECOND
            left -= len(some)
        self._refused = frozenset(record.subject_id for record in self._set_aside)

    def _tell(self, error: Exception) -> None:
        entries = len(self._waiting) + len(self._set_aside)
        if isinstance(error, (DatabaseUnavailable, UniqueViolation)):
            reason = f"{type(error).__name__}: {error}"
            _log.warning("audit.waiting", entries=entries, reason=reason)
        else:
            _log.error("audit.failed", entries=entries, exc_info=error)

    async def anchor(self) -> None:
        anchored = await anchors.anchor_all(
            self._database, self._seals, self._clock(), self._anchor_every
        )
        for anchor in anchored:
            # The application log leaves this machine: a copy of the anchor outside the database.
            _log.info(
                "audit.anchored", number=anchor.number, heads=anchor.heads, anchor=str(anchor)
            )

    async def _run(self) -> None:
        anchored_at = self._monotonic()
        while not self._stopping.is_set():
            try:
                await self.flush()
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
