"""Delivers a claimed outbox message: calls the partner and settles the row.

A delivery carries the message's idempotency key, so that a repetition has no second effect at the
partner. An unknown outcome is queried by that key before anything is repeated. Expired and permanently
failed messages become dead letters for an operator; a rejected order, change of an order, region move
or verification code is compensated.
"""

import random
from collections.abc import Awaitable, Callable, Mapping

import structlog

from core.db import Database, DatabaseUnavailable, Reader, Writes
from core.kernel.callers import ChannelId
from core.kernel.clock import SECOND, Instant
from core.kernel.refusals import Refusal
from core.messaging import channel_messages, outbox, outcomes
from core.messaging.channel_messages import Messenger, Unreachable
from core.messaging.outbox import MessageKind, OutboxMessage
from core.partners import (
    IdempotentPartner,
    IssuerCorrection,
    IssuerOrder,
    OutcomeUnknown,
    PartnerFailed,
    RegionMove,
    Rejected,
    SmsMessage,
)
from core.production import OrderChange, orders
from core.storage import ObjectsUnavailable, pictures
from core.unit_of_work import Dependencies, UnitOfWork, perform

_FIRST_WAIT = 2 * SECOND
_MAX_WAITS = {MessageKind.SMS_CODE: 10 * SECOND}
_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
_NO_SUCH_ORDER = "NO_SUCH_ORDER"
_UNDONE = frozenset({MessageKind.REGION_MOVE, MessageKind.ISSUER_ORDER, MessageKind.SMS_CODE})

log = structlog.get_logger("delivery")


class Delivery:
    """Delivers claimed messages. `publish` is called for each citizen whose production progress
    changed, and `wake` for each subject with new messages."""

    def __init__(
        self,
        database: Database,
        dependencies: Dependencies,
        messengers: Mapping[ChannelId, Messenger],
        clock: Callable[[], Instant],
        publish: Callable[[int], None],
        wake: Callable[[int], None],
    ) -> None:
        self._database = database
        self._dependencies = dependencies
        self._messengers = messengers
        self._clock = clock
        self._publish = publish
        self._wake = wake

    async def deliver(self, message: OutboxMessage) -> bool:
        """Whether the partner rejected it. An unexpected exception makes a dead letter: a retry would
        fail again."""
        try:
            return await self._try(message)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            log.exception("outbox.unexpected", message=message.id, kind=message.kind.value)
            await self._dead_letter(
                message, f"unexpected: {type(error).__name__}", message.unknown_since
            )
        return False

    async def _try(self, message: OutboxMessage) -> bool:
        try:
            if message.unknown_since is not None and await self._was_accepted(message):
                await self._confirm(message)
            elif message.expires_at <= self._clock() and _is_change(message):
                await self._compensate(message, "EXPIRED")
            elif message.expires_at <= self._clock():
                await self._dead_letter(message, "expired", None)
            elif await self._is_closed(message):
                await self._compensate(message, "CLOSED")
            else:
                await self._call_partner(message)
                await self._confirm(message)
        except (Unreachable, Refusal) as error:
            # Channels accept no idempotency key: a repetition could send the message twice, which
            # is worse than none, because the SMS says the same.
            await self._dead_letter(message, f"not accepted: {error}", None)
        except Rejected as error:
            await self._compensate(message, error.code)
            return True
        except OutcomeUnknown as error:
            await self._postpone(message, error.reason, message.unknown_since or self._clock())
        except PartnerFailed as error:
            await self._postpone(message, error.reason, None)
        except ObjectsUnavailable:
            await self._postpone(message, "the portrait cannot be read now", None)
        return False

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
            await self._call_issuer(message)
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

        writes = Writes()
        channel_messages.record_sent(
            writes, message.subject_id, channel, payload["template"], number, now
        )
        await self._database.apply(writes)

    async def _call_issuer(self, message: OutboxMessage) -> None:
        issuer, key, payload = (
            self._dependencies.partners.issuer,
            message.idempotency_key,
            message.payload,
        )
        change = payload.get("change")
        if change is None:
            await issuer.order(await self._issuer_order(message), key)
        elif change == OrderChange.CANCELLATION:
            await self._cancel(payload["orderNumber"], key)
        elif change == OrderChange.PICKUP_OUTLET:
            await issuer.change_outlet(payload["orderNumber"], payload["outletCode"], key)
        else:
            await issuer.correct(await self._correction(message), key)

    async def _is_closed(self, message: OutboxMessage) -> bool:
        """Whether an order was closed before it could be delivered."""
        if message.kind is not MessageKind.ISSUER_ORDER or _is_change(message):
            return False
        vault, number = self._dependencies.vault, message.payload["orderNumber"]
        order = await orders.find_order(self._database, vault, message.subject_id, number)
        return order is not None and order.closure is not None

    async def _cancel(self, number: str, key: str) -> None:
        """An order that never reached the card issuer has ended there too."""
        try:
            await self._dependencies.partners.issuer.cancel(number, key)
        except Rejected as error:
            if error.code != _NO_SUCH_ORDER:
                raise

    async def _correction(self, message: OutboxMessage) -> IssuerCorrection:
        payload, owner = message.payload, message.subject_id
        sides = payload["idDocumentIds"]
        return IssuerCorrection(
            number=payload["orderNumber"],
            fields=payload["fields"],
            portrait=await self._picture(owner, payload["portraitId"]),
            id_documents=None
            if sides is None
            else [await self._content(owner, id_) for id_ in sides],
        )

    async def _issuer_order(self, message: OutboxMessage) -> IssuerOrder:
        payload = message.payload
        return IssuerOrder(
            number=payload["orderNumber"],
            kind=payload["kind"],
            name=payload["name"],
            social_security_number=payload["socialSecurityNumber"],
            bank_code=payload["bankCode"],
            outlet_code=payload["outletCode"],
            portrait=await self._picture(message.subject_id, payload["portraitId"]),
        )

    async def _picture(self, citizen_id: int, picture_id: int | None) -> bytes | None:
        """None for one that the issuer already has."""
        return None if picture_id is None else await self._content(citizen_id, picture_id)

    async def _content(self, citizen_id: int, picture_id: int) -> bytes:
        picture = await pictures.find(self._database, citizen_id, picture_id)
        assert picture is not None
        return await self._dependencies.objects.get(picture.object_name, picture.citizen_id)

    async def _confirm(self, message: OutboxMessage) -> None:
        await self._settle(message, lambda unit: outcomes.confirm(unit, message))

    async def _compensate(self, message: OutboxMessage, code: str) -> None:
        """A reused idempotency key is a defect, not a decision on the request: it is never compensated."""
        if message.kind not in _UNDONE or code == _KEY_REUSED:
            await self._dead_letter(message, f"rejected: {code}", None)
            return
        await self._settle(message, lambda unit: outcomes.compensate(unit, message, code))
        if message.kind is not MessageKind.SMS_CODE:
            log.error("outbox.refused", message=message.id, kind=message.kind.value, reason=code)

    async def _settle(
        self, message: OutboxMessage, service: Callable[[UnitOfWork], Awaitable[None]]
    ) -> None:
        now = self._clock()

        def new_unit(reader: Reader) -> UnitOfWork:
            return UnitOfWork(reader, now, None, self._dependencies)

        unit, _ = await perform(self._database, new_unit, service, subject_id=message.subject_id)
        for subject_id in unit.outbox_of:
            self._wake(subject_id)
        for citizen_id in unit.progress_of:
            self._publish(citizen_id)

    async def _postpone(
        self, message: OutboxMessage, reason: str, unknown_since: Instant | None
    ) -> None:
        due_at = self._clock() + _wait(message)

        writes = Writes()
        outbox.postpone(writes, message, due_at, reason, unknown_since)
        await self._database.apply(writes)
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
        writes = Writes()
        outbox.dead_letter(writes, message, self._clock(), reason, unknown_since)
        await self._database.apply(writes)
        log.error(
            "outbox.dead_lettered", message=message.id, kind=message.kind.value, reason=reason
        )


def _is_change(message: OutboxMessage) -> bool:
    """A change of an order that cannot be delivered is not made, so that the citizen can try again."""
    return message.kind is MessageKind.ISSUER_ORDER and "change" in message.payload


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
