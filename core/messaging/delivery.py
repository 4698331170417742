"""The delivery worker: claims due outbox messages, calls the partner, settles the row.

A delivery carries the message's idempotency key, so that a repetition has no second effect at the
partner. An unknown outcome is queried by that key before anything is repeated. Expired and permanently
failed messages become dead letters for an operator; a rejected order or region move is compensated.
Each kind has its own concurrency limit, so that a slow partner delays no other's messages, and nothing
delays verification codes.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping

import structlog

from core.db import Database, DatabaseUnavailable, Transaction
from core.kernel.background import BackgroundTask
from core.kernel.callers import ChannelId
from core.kernel.clock import SECOND, Instant
from core.kernel.refusals import Refusal
from core.messaging import channel_messages, outbox, outcomes
from core.messaging.channel_messages import Messenger, Unreachable
from core.messaging.outbox import MessageKind, OutboxMessage
from core.partners import (
    IdempotentPartner,
    IssuerOrder,
    OutcomeUnknown,
    PartnerFailed,
    RegionMove,
    Rejected,
    SmsMessage,
)
from core.storage import ObjectsUnavailable, pictures
from core.unit_of_work import Dependencies, Signal, UnitOfWork

CONCURRENCY = 16
"""Concurrent deliveries per kind, in each worker."""

_FIRST_WAIT = 2 * SECOND
_MAX_WAITS = {MessageKind.SMS_CODE: 10 * SECOND}
_DRAIN_SECONDS = 2.0
_DRAIN_POLLS = 200
_SECONDS_TO_FINISH = 2.0
_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
_UNDONE = frozenset({MessageKind.REGION_MOVE, MessageKind.ISSUER_ORDER})

log = structlog.get_logger("delivery")


class OutboxWorker:
    """`publish` is called for each citizen whose production progress changed. Without a wake-up the
    outbox is polled every `poll_seconds`."""

    def __init__(
        self,
        database: Database,
        dependencies: Dependencies,
        messengers: Mapping[ChannelId, Messenger],
        clock: Callable[[], Instant],
        publish: Callable[[int], None] = lambda _: None,
        poll_seconds: float = 1.0,
    ) -> None:
        self._database = database
        self._dependencies = dependencies
        self._messengers = messengers
        self._clock = clock
        self._publish = publish
        self._poll_seconds = poll_seconds
        self._wake = asyncio.Event()
        self._task = BackgroundTask(self._run, "outbox-worker")
        self._tasks: dict[MessageKind, set[asyncio.Task[None]]] = {
            kind: set() for kind in MessageKind
        }

    def start(self) -> None:
        self._task.start()

    def wake(self) -> None:
        self._wake.set()

    async def stop(self) -> None:
        """Waits up to two seconds for running deliveries; another worker repeats the others."""
        await self._task.stop()
        tasks = [task for tasks in self._tasks.values() for task in tasks]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_SECONDS_TO_FINISH)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def deliver_due(self) -> int:
        """Delivers everything that is due now; returns the number of attempts."""
        tried = 0
        while kinds := await outbox.due_kinds(self._database, self._clock()):
            messages = [
                message for kind in kinds for message in await self._claim(kind, CONCURRENCY)
            ]
            if not messages:
                break
            await asyncio.gather(*(self._deliver(message) for message in messages))
            tried += len(messages)
        return tried

    async def drained(self) -> None:
        """Waits until no message awaits its first attempt, at most two seconds."""
        for _ in range(_DRAIN_POLLS):
            if not await self._database.fetch(outbox.ANY_NEW):
                return
            await asyncio.sleep(_DRAIN_SECONDS / _DRAIN_POLLS)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                for kind in await outbox.due_kinds(self._database, self._clock()):
                    await self._start_deliveries(kind)
            except DatabaseUnavailable as error:
                log.warning("outbox.unavailable", reason=type(error).__name__)
            except Exception:
                log.exception("outbox.failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._wake.wait()

    async def _start_deliveries(self, kind: MessageKind) -> None:
        tasks = self._tasks[kind]
        free = CONCURRENCY - len(tasks)
        if free <= 0:
            return
        for message in await self._claim(kind, free):
            task = asyncio.create_task(self._deliver_task(message))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(lambda _: self._wake.set())

    async def _deliver_task(self, message: OutboxMessage) -> None:
        try:
            await self._deliver(message)
        except DatabaseUnavailable as error:
            log.warning("outbox.unavailable", reason=type(error).__name__)
        except Exception:
            log.exception("outbox.failed", message=message.id, kind=message.kind.value)

    async def _claim(self, kind: MessageKind, limit: int) -> list[OutboxMessage]:
        now, vault = self._clock(), self._dependencies.vault

        async def job(db: Transaction) -> list[OutboxMessage]:
            return await outbox.claim(db, vault, now, kind, limit)

        return await self._database.write(job)

    async def _deliver(self, message: OutboxMessage) -> None:
        """An unexpected exception makes a dead letter: a retry would fail again."""
        try:
            await self._try(message)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            log.exception("outbox.unexpected", message=message.id, kind=message.kind.value)
            await self._dead_letter(
                message, f"unexpected: {type(error).__name__}", message.unknown_since
            )

    async def _try(self, message: OutboxMessage) -> None:
        try:
            if message.unknown_since is not None and await self._was_accepted(message):
                await self._confirm(message)
            elif message.expires_at <= self._clock():
                await self._dead_letter(message, "expired", None)
            else:
                await self._call_partner(message)
                await self._confirm(message)
        except (Unreachable, Refusal) as error:
            # Channels accept no idempotency key: a repetition could send the message twice, which
            # is worse than none, because the SMS says the same.
            await self._dead_letter(message, f"not accepted: {error}", None)
        except Rejected as error:
            await self._compensate(message, error.code)
        except OutcomeUnknown as error:
            await self._postpone(message, error.reason, message.unknown_since or self._clock())
        except PartnerFailed as error:
            await self._postpone(message, error.reason, None)
        except ObjectsUnavailable:
            await self._postpone(message, "the portrait cannot be read now", None)

    async def _was_accepted(self, message: OutboxMessage) -> bool:
        """Raises `OutcomeUnknown` while the partner does not answer, and `Unreachable` for a channel."""
        partner = self._partner_of(message.kind)
        if partner is None:
            raise Unreachable("the worker died, and a channel's outcome cannot be queried")
        try:
            return await partner.outcome(message.idempotency_key)
        except PartnerFailed as error:
            raise OutcomeUnknown(error.partner, error.reason) from error

    def _partner_of(self, kind: MessageKind) -> IdempotentPartner | None:
        partners = self._dependencies.partners
        if kind is MessageKind.CHANNEL_MESSAGE:
            return None
        if kind is MessageKind.REGION_MOVE:
            return partners.card_registry
        return partners.issuer if kind is MessageKind.ISSUER_ORDER else partners.sms

    async def _call_partner(self, message: OutboxMessage) -> None:
        partners, key = self._dependencies.partners, message.idempotency_key
        if message.kind is MessageKind.REGION_MOVE:
            await partners.card_registry.move_region(_region_move(message), key)
        elif message.kind is MessageKind.CHANNEL_MESSAGE:
            await self._notify(message)
        elif message.kind is MessageKind.ISSUER_ORDER:
            await partners.issuer.order(await self._issuer_order(message), key)
        else:
            await partners.sms.send(_sms(message), key)

    async def _notify(self, message: OutboxMessage) -> None:
        payload, now = message.payload, self._clock()
        channel = ChannelId(payload["channel"])
        number = await self._messengers[channel].notify(
            payload["account"],
            payload["templateId"],
            payload["text"],
            payload.get("values") or {"content": payload["text"]},
            now,
        )

        async def job(db: Transaction) -> None:
            await channel_messages.record_sent(
                db, message.subject_id, channel, payload["template"], number, now
            )

        await self._database.write(job)

    async def _issuer_order(self, message: OutboxMessage) -> IssuerOrder:
        payload = message.payload
        return IssuerOrder(
            number=payload["orderNumber"],
            kind=payload["kind"],
            name=payload["name"],
            social_security_number=payload["socialSecurityNumber"],
            bank_code=payload["bankCode"],
            outlet_code=payload["outletCode"],
            portrait=await self._portrait(payload["portraitId"]),
        )

    async def _portrait(self, picture_id: int | None) -> bytes | None:
        """None for a reissue: the issuer already has the portrait."""
        if picture_id is None:
            return None
        picture = await pictures.find_by_id(self._database, picture_id)
        assert picture is not None
        return await self._dependencies.objects.get(picture.object_name, picture.citizen_id)

    async def _confirm(self, message: OutboxMessage) -> None:
        await self._settle(lambda unit: outcomes.confirm(unit, message))

    async def _compensate(self, message: OutboxMessage, code: str) -> None:
        """A reused idempotency key is a defect, not a decision on the request: it is never compensated."""
        if message.kind not in _UNDONE or code == _KEY_REUSED:
            await self._dead_letter(message, f"rejected: {code}", None)
            return
        await self._settle(lambda unit: outcomes.compensate(unit, message, code))
        log.error("outbox.refused", message=message.id, kind=message.kind.value, reason=code)

    async def _settle(self, service: Callable[[UnitOfWork], Awaitable[None]]) -> None:
        now, signals, progress_of = self._clock(), set[Signal](), set[int]()

        async def job(db: Transaction) -> None:
            await service(UnitOfWork(db, now, None, self._dependencies, signals, progress_of))

        await self._database.write(job)
        if signals:
            self.wake()
        for citizen_id in progress_of:
            self._publish(citizen_id)

    async def _postpone(
        self, message: OutboxMessage, reason: str, unknown_since: Instant | None
    ) -> None:
        due_at = self._clock() + _wait(message)

        async def job(db: Transaction) -> None:
            await outbox.postpone(db, message, due_at, reason, unknown_since)

        await self._database.write(job)
        log.warning(
            "outbox.postponed",
            message=message.id,
            kind=message.kind.value,
            reason=reason,
            unknown=unknown_since is not None,
        )

    async def _dead_letter(
        self, message: OutboxMessage, reason: str, unknown_since: Instant | None
    ) -> None:
        now = self._clock()

        async def job(db: Transaction) -> None:
            await outbox.dead_letter(db, message, now, reason, unknown_since)

        await self._database.write(job)
        log.error(
            "outbox.dead_lettered", message=message.id, kind=message.kind.value, reason=reason
        )


def _region_move(message: OutboxMessage) -> RegionMove:
    payload = message.payload
    return RegionMove(
        social_security_number=payload["socialSecurityNumber"],
        card_number=payload["cardNumber"],
        from_region=payload["fromRegion"],
        to_region=payload["toRegion"],
    )


def _sms(message: OutboxMessage) -> SmsMessage:
    payload = message.payload
    return SmsMessage(
        phone=payload["phone"],
        text=payload["text"],
        purpose=payload["purpose"],
        code=payload["code"],
        template=payload["template"],
    )


def _wait(message: OutboxMessage) -> int:
    """Milliseconds to the next attempt: doubling up to five minutes (codes: ten seconds), times a
    random factor of 0.5 to 1."""
    longest = _MAX_WAITS.get(message.kind, outbox.LONGEST_WAIT)
    wait = min(_FIRST_WAIT * 2 ** min(message.attempts - 1, 20), longest)
    return int(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
