"""The worker that delivers the outbox: claims what is due, tells the partner, settles the row.

A delivery carries the row's idempotency key, so that a repeated one has no second effect at
the partner. What a partner will never take, or what has expired, is parked for an operator.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping

import structlog

from core import (
    channel_messages,
    drafts,
    idempotency,
    nonces,
    orphans,
    outbox,
    pictures,
    sign_in_answers,
)
from core.callers import ChannelId
from core.channel_messages import Messenger, Unreachable
from core.clock import MINUTE, SECOND, Instant
from core.database import Database, DatabaseUnavailable, Transaction
from core.errors import Refusal
from core.objects import ObjectsUnavailable
from core.outbox import Effect, EffectKind
from core.partners import IssuerOrder, PartnerFailed, Rejected, SmsMessage
from core.unit import Tools

_FIRST_WAIT = 2 * SECOND
_LONGEST_WAIT = 300 * SECOND
_IDLE_SECONDS = 1.0
_FORGET_EVERY = 10 * MINUTE
_SWEEP_EVERY = 60 * MINUTE
_PATIENCE_SECONDS = 2.0
_LOOKS = 200

log = structlog.get_logger("delivery")


class Worker:
    def __init__(
        self,
        database: Database,
        tools: Tools,
        messengers: Mapping[ChannelId, Messenger],
        clock: Callable[[], Instant],
    ) -> None:
        self._database = database
        self._tools = tools
        self._messengers = messengers
        self._clock = clock
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._forget_at: Instant = 0
        self._sweep_at = clock() + _SWEEP_EVERY

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="outbox-worker")

    def wake(self) -> None:
        self._wake.set()

    async def stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def deliver_due(self) -> int:
        """Delivers everything that is due now; returns how many rows were tried."""
        tried = 0
        while effects := await self._claim():
            await asyncio.gather(*(self._deliver(effect) for effect in effects))
            tried += len(effects)
        return tried

    async def caught_up(self) -> None:
        """Returns when nothing waits to be delivered for the first time, or after two seconds."""
        for _ in range(_LOOKS):
            if not await self._database.fetch(outbox.ANY_NEW):
                return
            await asyncio.sleep(_PATIENCE_SECONDS / _LOOKS)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.deliver_due()
                await self._forget_old()
            except DatabaseUnavailable as error:
                log.warning("outbox.unavailable", reason=type(error).__name__)
            except Exception:
                log.exception("outbox.failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_SECONDS):
                    await self._wake.wait()

    async def _forget_old(self) -> None:
        """Now and then: what is remembered for a time only, and that time is over."""
        now = self._clock()
        if now < self._forget_at:
            return
        self._forget_at = now + _FORGET_EVERY

        async def job(db: Transaction) -> None:
            await db.fetch(nonces.FORGET_OLD, before=now - nonces.KEPT_AFTER)
            await db.fetch(sign_in_answers.FORGET_OLD, before=now)
            await db.fetch(idempotency.FORGET_OLD, before=now - idempotency.KEPT_FOR)
            await db.fetch(drafts.DISCARD_OLD, before=now - drafts.KEPT_FOR)

        await self._database.write(job)
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_EVERY
            with contextlib.suppress(ObjectsUnavailable):
                await orphans.remove(self._database, self._tools.objects, now)

    async def _claim(self) -> list[Effect]:
        now, vault = self._clock(), self._tools.vault
        if not await self._database.fetch(outbox.ANY_DUE, now=now):
            return []

        async def job(db: Transaction) -> list[Effect]:
            return await outbox.claim(db, vault, now)

        return await self._database.write(job)

    async def _deliver(self, effect: Effect) -> None:
        if effect.expires_at <= self._clock():
            await self._park(effect, "expired")
            return
        try:
            await self._tell_partner(effect)
        except (Unreachable, Refusal) as error:
            # A channel takes no idempotency key: whether a failed message went out is unknown,
            # and a second one would be worse than none, since the SMS says the same.
            await self._park(effect, f"not taken: {error}")
        except Rejected as error:
            await self._park(effect, f"rejected: {error.code}")
        except PartnerFailed as error:
            await self._postpone(effect, error.reason)
        except ObjectsUnavailable:
            await self._postpone(effect, "the portrait cannot be read now")
        except DatabaseUnavailable:
            raise
        except Exception as error:
            log.exception("outbox.unexpected", effect=effect.id, kind=effect.kind.value)
            await self._park(effect, f"unexpected: {type(error).__name__}")
        else:
            await self._settle(effect)

    async def _tell_partner(self, effect: Effect) -> None:
        partners, key, payload = self._tools.partners, effect.idempotency_key, effect.payload
        if effect.kind is EffectKind.SMS:
            await partners.sms.send(
                SmsMessage(
                    phone=payload["phone"],
                    text=payload["text"],
                    purpose=payload["purpose"],
                    code=payload["code"],
                    template=payload["template"],
                ),
                key,
            )
        elif effect.kind is EffectKind.REGION_MOVE:
            await partners.card_registry.move_region(
                payload["socialSecurityNumber"],
                payload["cardNumber"],
                payload["fromRegion"],
                payload["toRegion"],
                key,
            )
        elif effect.kind is EffectKind.CHANNEL_MESSAGE:
            await self._notify(effect)
        else:
            await partners.issuer.order(await self._issuer_order(effect), key)

    async def _notify(self, effect: Effect) -> None:
        payload, now = effect.payload, self._clock()
        channel = ChannelId(payload["channel"])
        number = await self._messengers[channel].notify(
            payload["account"], payload["templateId"], payload["text"], now
        )

        async def job(db: Transaction) -> None:
            await channel_messages.note_sent(
                db, effect.person, channel, payload["template"], number, now
            )

        await self._database.write(job)

    async def _issuer_order(self, effect: Effect) -> IssuerOrder:
        payload = effect.payload
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
        """None for a reissue, where the issuer has it already."""
        if picture_id is None:
            return None
        picture = await pictures.find_by_id(self._database, picture_id)
        assert picture is not None
        return await self._tools.objects.get(picture.object_name, picture.citizen_id)

    async def _settle(self, effect: Effect) -> None:
        now = self._clock()

        async def job(db: Transaction) -> None:
            await outbox.settle(db, effect, now)

        await self._database.write(job)

    async def _postpone(self, effect: Effect, why: str) -> None:
        due_at = self._clock() + _wait(effect.attempts)

        async def job(db: Transaction) -> None:
            await outbox.postpone(db, effect, due_at, why)

        await self._database.write(job)
        log.warning("outbox.postponed", effect=effect.id, kind=effect.kind.value, reason=why)

    async def _park(self, effect: Effect, why: str) -> None:
        now = self._clock()

        async def job(db: Transaction) -> None:
            await outbox.park(db, effect, now, why)

        await self._database.write(job)
        log.error("outbox.parked", effect=effect.id, kind=effect.kind.value, reason=why)


def _wait(attempts: int) -> int:
    """Doubles with each attempt up to five minutes, with jitter of a half."""
    wait = min(_FIRST_WAIT * 2 ** (attempts - 1), _LONGEST_WAIT)
    return int(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
