"""Transactional outbox: messages to partners and citizens, written in the transaction of their cause.

A worker claims the due messages of one subject by a conditional update, delivers each with its
idempotency key, and settles it: delivered, postponed, or a dead letter for an operator. Messages of one
kind to one subject are delivered in order. The encrypted payload is erased on delivery.

`unknown_since` is set while the outcome of an attempt is unknown: no answer, or an unreadable one. Such
a message is repeated only after the partner was queried for its outcome.
"""

import contextlib
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
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
from core.db import Query, Reader, Row, Transaction, Writes, insert_into, metadata
from core.kernel import lengths
from core.kernel.clock import CLOCK_SKEW, DAY, MINUTE, SECOND, Instant
from core.kernel.ids import new_id
from core.kernel.refusals import Refusal
from core.unit_of_work import UnitOfWork

outbox_table = Table(
    "outbox",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
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
    Index(
        "ix_outbox_due",
        "kind",
        "due_at",
        "subject_id",
        "id",
        sqlite_where=text("settled_at IS NULL AND dead_at IS NULL"),
        postgresql_where=text("settled_at IS NULL AND dead_at IS NULL"),
    ),
)
"""On SQLite with a rowid: rows as large as these are added at one end, instead of dirtying a page each."""


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
_of_subject = outbox_table.c.subject_id == bindparam("subject_id")
is_waiting = and_(outbox_table.c.settled_at.is_(None), outbox_table.c.dead_at.is_(None))
is_waiting_of_subject = func.coalesce(outbox_table.c.settled_at, outbox_table.c.dead_at).is_(None)
"""The same, but no planner can choose the index of all that is waiting: one whose statistics are of a
time when nothing was would read all of it for each subject."""
_is_due = or_(
    outbox_table.c.due_at <= bindparam("now"),
    outbox_table.c.due_at > bindparam("latest_due"),
)
"""Or later than it can be: the clock was set back since."""
is_unclaimed = or_(
    outbox_table.c.claimed_until <= bindparam("now"),
    outbox_table.c.claimed_until > bindparam("latest_claim"),
)
_kinds: list[ColumnElement[str]] = [
    bindparam(f"kind{number}") for number in range(len(MessageKind))
]
_first_of_each_kind = (
    select(func.min(outbox_table.c.id))
    .where(_of_subject, is_waiting_of_subject, outbox_table.c.kind.in_(_kinds))
    .group_by(outbox_table.c.kind)
)
_CLAIM = Query(
    update(outbox_table)
    # What another worker claimed or settled meanwhile is noticed by these conditions only: the
    # sub-select is not evaluated again.
    .where(_of_subject, outbox_table.c.id.in_(_first_of_each_kind))
    .where(is_waiting_of_subject, _is_due, is_unclaimed)
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
ANY_NEW = Query(
    select(outbox_table.c.id).where(is_waiting, outbox_table.c.failure.is_(None)).limit(1)
)
_is_message = and_(_of_subject, outbox_table.c.id == bindparam("message_id"))
_is_held = and_(
    _is_message,
    outbox_table.c.claimed_until == bindparam("claim"),
    outbox_table.c.settled_at.is_(None),
)
_SETTLE = Query(
    update(outbox_table)
    .where(_is_held)
    .values(
        settled_at=bindparam("at"),
        dead_at=None,
        payload=None,
        failure=bindparam("reason"),
        unknown_since=None,
    )
)
_FIND_HELD = Query(select(outbox_table.c.id).where(_is_held))
_POSTPONE = Query(
    update(outbox_table)
    .where(_is_held)
    .values(
        due_at=bindparam("next_due"),
        claimed_until=0,
        failure=bindparam("reason"),
        unknown_since=bindparam("unknown"),
    )
)
_WITH_PAYLOAD = Query(
    select(outbox_table).where(
        _of_subject,
        outbox_table.c.kind == bindparam("kind"),
        outbox_table.c.payload.is_not(None),
    )
)
_CANCEL = Query(
    update(outbox_table)
    .where(_is_message)
    .values(settled_at=bindparam("at"), payload=None, failure="cancelled")
)
_DEAD_LETTER = Query(
    update(outbox_table)
    .where(_is_held)
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
    .order_by(outbox_table.c.id, outbox_table.c.subject_id)
    .limit(bindparam("limit", type_=Integer))
)
_is_dead = and_(
    _is_message,
    outbox_table.c.settled_at.is_(None),
    outbox_table.c.dead_at.is_not(None),
)
_RETRY = Query(
    update(outbox_table)
    .where(_is_dead)
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
_DEAD = Query(select(outbox_table).where(_is_dead))


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    subject_id: int
    id: int
    kind: MessageKind
    idempotency_key: str
    payload: Mapping[str, Any] = field(repr=False)
    attempts: int
    created_at: Instant
    expires_at: Instant
    claimed_until: Instant
    unknown_since: Instant | None = None


def put(
    unit: UnitOfWork,
    *,
    subject_id: int,
    kind: MessageKind,
    payload: Mapping[str, Any],
    expires_at: Instant = 0,
    if_rejected: Refusal | None = None,
) -> None:
    """Adds a message. `subject_id` is a citizen's id, or a session's before a citizen is known.

    `expires_at` is by default seven days from now. With `if_rejected` the message is claimed for
    whoever commits it, who delivers it at once.
    """
    message_id = new_id(unit.now)
    message = OutboxMessage(
        subject_id=subject_id,
        id=message_id,
        kind=kind,
        idempotency_key=f"{message_id:016x}{secrets.token_hex(8)}",
        payload=payload,
        attempts=0 if if_rejected is None else 1,
        created_at=unit.now,
        expires_at=expires_at or unit.now + LIFETIME,
        claimed_until=0 if if_rejected is None else unit.now + LEASE,
    )
    unit.writes.add(
        _INSERT,
        subject_id=subject_id,
        id=message_id,
        kind=kind.value,
        idempotency_key=message.idempotency_key,
        payload=unit.dependencies.vault.seal(orjson.dumps(payload), "outbox.payload", message_id),
        created_at=unit.now,
        due_at=unit.now,
        expires_at=message.expires_at,
        attempts=message.attempts,
        claimed_until=message.claimed_until,
        settled_at=None,
        dead_at=None,
        failure=None,
        unknown_since=None,
    )
    if if_rejected is None:
        unit.outbox_of.add(subject_id)
    else:
        unit.held.append((message, if_rejected))


def put_sms(
    unit: UnitOfWork,
    *,
    subject_id: int,
    phone: str,
    template: str,
    text: str,
    purpose: str | None = None,
    code: str | None = None,
    expires_at: Instant = 0,
    if_rejected: Refusal | None = None,
    **kept: Any,
) -> None:
    """`kept` is not sent: it is for the compensation."""
    put(
        unit,
        subject_id=subject_id,
        kind=MessageKind.SMS if code is None else MessageKind.SMS_CODE,
        payload={
            "phone": phone,
            "template": template,
            "text": text,
            "purpose": purpose,
            "code": code,
            **kept,
        },
        expires_at=expires_at,
        if_rejected=if_rejected,
    )


async def claim(
    db: Transaction, vault: Vault, subject_id: int, kinds: Collection[MessageKind], now: Instant
) -> list[OutboxMessage]:
    """Leases the subject's first message of each of these kinds for `LEASE`, if it is due.

    If the worker dies, the lease expires. A message with an expired lease may have reached the
    partner: its outcome is unknown.
    """
    messages = []
    names = [kind.value for kind in kinds]
    names += names[-1:] * (len(_kinds) - len(names))
    for row in await db.fetch(
        _CLAIM,
        subject_id=subject_id,
        claimed_at=now,
        until=now + LEASE,
        **{f"kind{number}": name for number, name in enumerate(names)},
        latest_due=latest_due(now),
        **lease_limits(now),
    ):
        try:
            messages.append(message_from(row, vault))
        except CannotOpen:
            await db.fetch(
                _DEAD_LETTER,
                subject_id=subject_id,
                message_id=row["id"],
                claim=row["claimed_until"],
                **_dead(now, "cannot be opened", row["unknown_since"]),
            )
    return sorted(messages, key=lambda message: message.id)


def latest_due(now: Instant) -> Instant:
    """No message is put off for longer: its clock was ahead."""
    return now + LONGEST_WAIT + CLOCK_SKEW


def lease_limits(now: Instant) -> dict[str, Instant]:
    """The parameters of `is_unclaimed`."""
    return {"now": now, "latest_claim": now + LEASE + CLOCK_SKEW}


async def settle(unit: UnitOfWork, message: OutboxMessage, reason: str | None = None) -> bool:
    """Settles a message; `reason` if it will never be delivered. False if another worker has leased it."""
    if await unit.db.fetch_one(_FIND_HELD, **_held(message)) is None:
        return False
    unit.writes.guard(_SETTLE, **_held(message), at=unit.now, reason=reason)
    return True


def postpone(
    writes: Writes,
    message: OutboxMessage,
    due_at: Instant,
    reason: str,
    unknown_since: Instant | None,
) -> None:
    writes.add(
        _POSTPONE,
        **_held(message),
        next_due=due_at,
        reason=reason[: lengths.FAILURE],
        unknown=unknown_since,
    )


def dead_letter(
    writes: Writes,
    message: OutboxMessage,
    now: Instant,
    reason: str,
    unknown_since: Instant | None = None,
) -> None:
    writes.add(_DEAD_LETTER, **_held(message), **_dead(now, reason, unknown_since))


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
                unit.writes.add(_CANCEL, subject_id=subject_id, message_id=row["id"], at=unit.now)


def _held(message: OutboxMessage) -> dict[str, int]:
    """The parameters of `_is_held`."""
    return {
        "subject_id": message.subject_id,
        "message_id": message.id,
        "claim": message.claimed_until,
    }


def _dead(now: Instant, reason: str, unknown_since: Instant | None) -> dict[str, Any]:
    return {"at": now, "reason": reason[: lengths.FAILURE], "unknown": unknown_since}


def message_from(row: Row, vault: Vault) -> OutboxMessage:
    """Raises `CannotOpen` if the key of the payload no longer exists."""
    message_id: int = row["id"]
    return OutboxMessage(
        subject_id=row["subject_id"],
        id=message_id,
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

    subject_id: int
    id: int
    kind: str
    created_at: Instant
    due_at: Instant
    attempts: int
    dead_at: Instant | None
    unknown_since: Instant | None
    failure: str | None

    @property
    def key(self) -> tuple[int, int]:
        """Subject and id."""
        return self.subject_id, self.id

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


async def retry(db: Transaction, subject_id: int, message_id: int, now: Instant) -> bool:
    """Makes a dead letter due now; if it has expired, for another seven days."""
    row = await db.fetch_one(
        _RETRY, subject_id=subject_id, message_id=message_id, at=now, later=now + LIFETIME
    )
    return row is not None


async def dead_letter_of(
    db: Reader, vault: Vault, subject_id: int, message_id: int
) -> OutboxMessage | None:
    """The dead letter with this key. Raises `CannotOpen` if the key of its payload no longer exists."""
    row = await db.fetch_one(_DEAD, subject_id=subject_id, message_id=message_id)
    return None if row is None else message_from(row, vault)
