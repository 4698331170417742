"""Transactional outbox: messages to partners and citizens, written in the transaction of their cause.

A worker claims due messages by a conditional update, delivers each with its idempotency key, and
settles it: delivered, postponed, or a dead letter for an operator. Messages of one kind to one subject
are delivered in order. The encrypted payload is erased on delivery.

`unknown_since` is set while the outcome of an attempt is unknown: no answer, or an unreadable one. Such
a message is repeated only after the partner was queried for its outcome.
"""

import contextlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    text,
    update,
)

from core.crypto import CannotOpen, Vault
from core.db import Id, Query, Reader, Row, Transaction, insert_into, metadata
from core.kernel import lengths
from core.kernel.clock import CLOCK_SKEW, DAY, MINUTE, SECOND, Instant
from core.kernel.ids import new_id
from core.unit_of_work import Signal, UnitOfWork

outbox_table = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("subject_id", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("idempotency_key", String(lengths.EFFECT_KEY), nullable=False),
    Column("payload", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("claimed_until", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Column("dead_at", BigInteger),
    Column("failure", String(lengths.FAILURE)),
    Column("unknown_since", BigInteger),
    Index("uq_outbox_idempotency_key", "idempotency_key", unique=True),
    Index(
        "ix_outbox_waiting",
        "subject_id",
        "kind",
        "id",
        sqlite_where=text("settled_at IS NULL AND dead_at IS NULL"),
        postgresql_where=text("settled_at IS NULL AND dead_at IS NULL"),
    ),
    Index(
        "ix_outbox_due",
        "kind",
        "due_at",
        sqlite_where=text("settled_at IS NULL AND dead_at IS NULL"),
        postgresql_where=text("settled_at IS NULL AND dead_at IS NULL"),
    ),
)


class MessageKind(StrEnum):
    """SMS_CODE is separate from SMS, so that other messages cannot delay a verification code."""

    SMS_CODE = "SMS_CODE"
    SMS = "SMS"
    ISSUER_ORDER = "ISSUER_ORDER"
    REGION_MOVE = "REGION_MOVE"
    CHANNEL_MESSAGE = "CHANNEL_MESSAGE"


MESSAGES = (MessageKind.SMS_CODE, MessageKind.SMS, MessageKind.CHANNEL_MESSAGE)
"""Messages to citizens; the other kinds change something at a partner."""

LEASE = 15 * SECOND
"""Longer than querying a partner for an outcome and then calling it: five seconds each."""
LONGEST_WAIT = 5 * MINUTE
"""Between two attempts."""
LIFETIME = 7 * DAY

_INSERT = insert_into(outbox_table)
_earlier = outbox_table.alias("earlier")
_waiting = and_(outbox_table.c.settled_at.is_(None), outbox_table.c.dead_at.is_(None))
_is_due = (
    or_(
        outbox_table.c.due_at <= bindparam("now"),
        outbox_table.c.due_at > bindparam("latest_due"),
    ),
    or_(
        outbox_table.c.claimed_until <= bindparam("now"),
        outbox_table.c.claimed_until > bindparam("latest_claim"),
    ),
)
"""Or later than it can be: the clock was set back since."""
_free = (
    select(outbox_table.c.id)
    .where(
        _waiting,
        outbox_table.c.kind == bindparam("of_kind"),
        *_is_due,
        ~select(_earlier.c.id)
        .where(
            _earlier.c.subject_id == outbox_table.c.subject_id,
            _earlier.c.kind == outbox_table.c.kind,
            _earlier.c.id < outbox_table.c.id,
            _earlier.c.settled_at.is_(None),
            _earlier.c.dead_at.is_(None),
        )
        .exists(),
    )
    .order_by(outbox_table.c.due_at, outbox_table.c.id)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("free")
)
DUE_KINDS = Query(
    select(outbox_table.c.kind)
    .where(
        _waiting,
        *_is_due,
    )
    .distinct()
)
ANY_NEW = Query(
    select(outbox_table.c.id).where(_waiting, outbox_table.c.failure.is_(None)).limit(1)
)
_CLAIM = Query(
    update(outbox_table)
    .where(outbox_table.c.id.in_(select(_free.c.id)))
    .values(
        claimed_until=bindparam("until"),
        attempts=outbox_table.c.attempts + 1,
        unknown_since=func.coalesce(
            outbox_table.c.unknown_since,
            case((outbox_table.c.claimed_until > 0, bindparam("claimed_at", type_=BigInteger))),
        ),
    )
    .returning(*outbox_table.c)
)
_held = and_(
    outbox_table.c.id == bindparam("message_id"),
    outbox_table.c.claimed_until == bindparam("claim"),
    outbox_table.c.settled_at.is_(None),
)
_SETTLE = Query(
    update(outbox_table)
    .where(_held)
    .values(
        settled_at=bindparam("at"),
        dead_at=None,
        payload=None,
        failure=bindparam("reason"),
        unknown_since=None,
    )
    .returning(outbox_table.c.id)
)
_POSTPONE = Query(
    update(outbox_table)
    .where(_held)
    .values(
        due_at=bindparam("next_due"),
        claimed_until=0,
        failure=bindparam("reason"),
        unknown_since=bindparam("unknown"),
    )
)
_WITH_PAYLOAD = Query(
    select(outbox_table).where(
        outbox_table.c.subject_id == bindparam("subject_id"),
        outbox_table.c.kind == bindparam("kind"),
        outbox_table.c.payload.is_not(None),
    )
)
_CANCEL = Query(
    update(outbox_table)
    .where(outbox_table.c.id == bindparam("message_id"))
    .values(settled_at=bindparam("at"), payload=None, failure="cancelled")
)
_DEAD_LETTER = Query(
    update(outbox_table)
    .where(_held)
    .values(
        dead_at=bindparam("at"),
        claimed_until=0,
        failure=bindparam("reason"),
        unknown_since=bindparam("unknown"),
    )
)


_OPEN = Query(
    select(*(column for column in outbox_table.c if column.name != "payload"))
    .where(outbox_table.c.settled_at.is_(None))
    .order_by(outbox_table.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_dead = and_(
    outbox_table.c.id == bindparam("message_id"),
    outbox_table.c.settled_at.is_(None),
    outbox_table.c.dead_at.is_not(None),
)
_RETRY = Query(
    update(outbox_table)
    .where(_dead)
    .values(
        dead_at=None,
        claimed_until=0,
        due_at=bindparam("at"),
        expires_at=case(
            (outbox_table.c.expires_at <= bindparam("at"), bindparam("later", type_=BigInteger)),
            else_=outbox_table.c.expires_at,
        ),
    )
    .returning(outbox_table.c.id)
)
_DEAD = Query(select(outbox_table).where(_dead))


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    id: int
    subject_id: int
    kind: MessageKind
    idempotency_key: str
    payload: Mapping[str, Any] = field(repr=False)
    attempts: int
    created_at: Instant
    expires_at: Instant
    claimed_until: Instant
    unknown_since: Instant | None = None


async def put(
    unit: UnitOfWork,
    *,
    subject_id: int,
    kind: MessageKind,
    payload: Mapping[str, Any],
    expires_at: Instant = 0,
) -> None:
    """Adds a message. `subject_id` is a citizen's id, or a session's before a citizen is known.

    `expires_at` is by default seven days from now.
    """
    message_id = new_id(unit.now)
    sealed = unit.dependencies.vault.seal(orjson.dumps(payload), "outbox.payload", message_id)
    await unit.db.fetch(
        _INSERT,
        id=message_id,
        subject_id=subject_id,
        kind=kind.value,
        idempotency_key=f"{message_id:016x}{secrets.token_hex(8)}",
        payload=sealed,
        created_at=unit.now,
        due_at=unit.now,
        expires_at=expires_at or unit.now + LIFETIME,
        attempts=0,
        claimed_until=0,
        settled_at=None,
        dead_at=None,
        failure=None,
        unknown_since=None,
    )
    unit.signals.add(Signal.OUTBOX)


async def put_sms(
    unit: UnitOfWork,
    *,
    subject_id: int,
    phone: str,
    template: str,
    text: str,
    purpose: str | None = None,
    code: str | None = None,
    expires_at: Instant = 0,
) -> None:
    await put(
        unit,
        subject_id=subject_id,
        kind=MessageKind.SMS if code is None else MessageKind.SMS_CODE,
        payload={
            "phone": phone,
            "template": template,
            "text": text,
            "purpose": purpose,
            "code": code,
        },
        expires_at=expires_at,
    )


async def due_kinds(db: Reader, now: Instant) -> set[MessageKind]:
    rows = await db.fetch(DUE_KINDS, now=now, **_latest(now))
    return {MessageKind(row["kind"]) for row in rows}


async def claim(
    db: Transaction, vault: Vault, now: Instant, kind: MessageKind, limit: int
) -> list[OutboxMessage]:
    """Leases due messages for `LEASE`; if the worker dies, the lease expires.

    A message with an expired lease may have reached the partner: its outcome is unknown.
    """
    messages = []
    until = now + LEASE
    for row in await db.fetch(
        _CLAIM,
        now=now,
        claimed_at=now,
        until=until,
        of_kind=kind.value,
        limit=limit,
        **_latest(now),
    ):
        try:
            messages.append(message_from(row, vault))
        except CannotOpen:
            await _dead_letter(db, row, now, "cannot be opened", row["unknown_since"])
    return sorted(messages, key=lambda message: message.id)


def _latest(now: Instant) -> dict[str, Instant]:
    return {
        "latest_due": now + LONGEST_WAIT + CLOCK_SKEW,
        "latest_claim": now + LEASE + CLOCK_SKEW,
    }


async def settle(
    db: Transaction, message: OutboxMessage, now: Instant, reason: str | None = None
) -> bool:
    """Settles a message; `reason` if it will never be delivered. False if another worker has leased it."""
    settled = await db.fetch(
        _SETTLE, message_id=message.id, claim=message.claimed_until, at=now, reason=reason
    )
    return bool(settled)


async def postpone(
    db: Transaction,
    message: OutboxMessage,
    due_at: Instant,
    reason: str,
    unknown_since: Instant | None,
) -> None:
    await db.fetch(
        _POSTPONE,
        message_id=message.id,
        claim=message.claimed_until,
        next_due=due_at,
        reason=reason[: lengths.FAILURE],
        unknown=unknown_since,
    )


async def dead_letter(
    db: Transaction,
    message: OutboxMessage,
    now: Instant,
    reason: str,
    unknown_since: Instant | None = None,
) -> None:
    row = {"id": message.id, "claimed_until": message.claimed_until}
    await _dead_letter(db, row, now, reason, unknown_since)


async def cancel(
    unit: UnitOfWork, subject_id: int, kind: MessageKind, holding: Mapping[str, Any]
) -> None:
    """Cancels a subject's messages of a kind whose payload contains `holding`, including dead letters.

    A message that a worker has claimed may still be delivered; one that cannot be decrypted stays.
    """
    for row in await unit.db.fetch(_WITH_PAYLOAD, subject_id=subject_id, kind=kind.value):
        with contextlib.suppress(CannotOpen):
            payload = message_from(row, unit.dependencies.vault).payload
            if all(payload.get(name) == value for name, value in holding.items()):
                await unit.db.fetch(_CANCEL, message_id=row["id"], at=unit.now)


async def _dead_letter(
    db: Transaction, row: Row, now: Instant, reason: str, unknown_since: Instant | None
) -> None:
    await db.fetch(
        _DEAD_LETTER,
        message_id=row["id"],
        claim=row["claimed_until"],
        at=now,
        reason=reason[: lengths.FAILURE],
        unknown=unknown_since,
    )


def message_from(row: Row, vault: Vault) -> OutboxMessage:
    """Raises `CannotOpen` if the key of the payload no longer exists."""
    message_id: int = row["id"]
    return OutboxMessage(
        id=message_id,
        subject_id=row["subject_id"],
        kind=MessageKind(row["kind"]),
        idempotency_key=row["idempotency_key"],
        payload=json.loads(vault.open(bytes(row["payload"]), "outbox.payload", message_id)),
        attempts=row["attempts"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        claimed_until=row["claimed_until"],
        unknown_since=row["unknown_since"],
    )


# --- for operators -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenMessage:
    """An unsettled message without its payload."""

    id: int
    kind: str
    created_at: Instant
    due_at: Instant
    attempts: int
    dead_at: Instant | None
    unknown_since: Instant | None
    failure: str | None

    @property
    def state(self) -> str:
        if self.dead_at is not None:
            return "dead"
        return "waiting" if self.unknown_since is None else "unknown"


async def open_messages(db: Reader, limit: int) -> list[OpenMessage]:
    """Oldest first."""
    names = [entry.name for entry in fields(OpenMessage)]
    return [
        OpenMessage(**{name: row[name] for name in names})
        for row in await db.fetch(_OPEN, limit=limit)
    ]


async def retry(db: Transaction, message_id: int, now: Instant) -> bool:
    """Makes a dead letter due now; if it has expired, for another seven days."""
    later = now + LIFETIME
    return await db.fetch_one(_RETRY, message_id=message_id, at=now, later=later) is not None


async def dead_letter_of(db: Transaction, vault: Vault, message_id: int) -> OutboxMessage | None:
    """The dead letter with this id. Raises `CannotOpen` if the key of its payload no longer exists."""
    row = await db.fetch_one(_DEAD, message_id=message_id)
    return None if row is None else message_from(row, vault)
