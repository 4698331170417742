"""Event store: every event of the card issuer by its id, encrypted, with its outcome.

Applied events are stored for `retention_days`, so that an order's or a card's state can be
recomputed from all its events whenever another one arrives, in whatever order.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    select,
    text,
    update,
)

from core.citizens import ClaimKind, claims
from core.crypto import Vault
from core.db import Query, Reader, Row, Writes, fetch_in, in_batch, insert_into, metadata
from core.kernel import lengths
from core.kernel.clock import MINUTE, Instant, instant
from core.kernel.texts import Text
from core.production import REPORTED, CloseReason, Correction, NodeResult, ProductionNode

issuer_events_table = Table(
    "issuer_events",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String(lengths.ISSUER_TEXT), primary_key=True),
    Column("type", String(24), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("outcome", String(24), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index(
        "ix_issuer_events_open",
        "received_at",
        sqlite_where=text("outcome <> 'TAKEN'"),
        postgresql_where=text("outcome <> 'TAKEN'"),
    ),
    sqlite_with_rowid=False,
)


ISSUER_CLOCK_SKEW = 5 * MINUTE
"""Maximum difference between the issuer's clock and ours."""


class IssuerEventType(StrEnum):
    NODE_RESULT = "NODE_RESULT"
    TEMPORARY_LOSS = "TEMPORARY_LOSS"
    LOCK = "LOCK"
    UNLOCK = "UNLOCK"
    ACTIVATE = "ACTIVATE"
    CANCEL = "CANCEL"
    ORDER_CLOSED = "ORDER_CLOSED"

    @property
    def is_about_order(self) -> bool:
        return self in (IssuerEventType.NODE_RESULT, IssuerEventType.ORDER_CLOSED)


_CLOSING = (IssuerEventType.ORDER_CLOSED, IssuerEventType.CANCEL)


EVENT_NAMES = {
    IssuerEventType.NODE_RESULT: Text("制卡环节结果", "Result of a step"),
    IssuerEventType.TEMPORARY_LOSS: Text("电话临时挂失", "Temporarily lost by phone"),
    IssuerEventType.LOCK: Text("应用锁定", "Locked"),
    IssuerEventType.UNLOCK: Text("应用解锁", "Unlocked"),
    IssuerEventType.CANCEL: Text("卡片注销", "Cancelled"),
    IssuerEventType.ACTIVATE: Text("网点激活", "Activated at an outlet"),
    IssuerEventType.ORDER_CLOSED: Text("制卡申请关闭", "Application closed"),
}


class Outcome(StrEnum):
    """What became of an event; also the answer to the card issuer (`docs/partners/`).

    TAKEN: applied. REPEATED: received before. WAITING: an earlier node is not done yet.
    CONTRADICTION and UNKNOWN_SUBJECT: open for an operator.
    """

    TAKEN = "TAKEN"
    REPEATED = "REPEATED"
    WAITING = "WAITING"
    CONTRADICTION = "CONTRADICTION"
    UNKNOWN_SUBJECT = "UNKNOWN_SUBJECT"


_Text = Annotated[str, msgspec.Meta(max_length=lengths.ISSUER_TEXT)]


class IssuerEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One event as the card issuer sends it (`docs/partners/`) and as it is stored.

    `happened_at` is `at` on the wire. Node results and ORDER_CLOSED name an order; the other types
    name a card and the social security number of its holder. `reason` is a sentence of a node, and a
    `CloseReason` of ORDER_CLOSED and CANCEL; `corrections` is what NEEDS_CORRECTION asks for.
    """

    id: Annotated[_Text, msgspec.Meta(min_length=1)]
    type: IssuerEventType
    happened_at: Annotated[datetime, msgspec.Meta(tz=True)] = msgspec.field(name="at")
    order_number: _Text | None = None
    node: ProductionNode | None = None
    result: NodeResult | None = None
    reason: str | None = None
    corrections: tuple[Correction, ...] = ()
    batch_number: _Text | None = None
    card_number: _Text | None = None
    social_security_number: str | None = None

    def __post_init__(self) -> None:
        texts = (self.id, self.order_number, self.batch_number, self.card_number)
        if not all((text or "").isprintable() for text in texts):
            raise ValueError("an id or number must consist of printable characters")
        if self.type in _CLOSING and self.reason is not None and self.reason not in REPORTED:
            raise ValueError("the reason is none of those of the document")
        if self.type is IssuerEventType.ORDER_CLOSED and self.reason is None:
            raise ValueError("ORDER_CLOSED needs a reason")
        if self.result is NodeResult.NEEDS_CORRECTION and not self.corrections:
            raise ValueError("NEEDS_CORRECTION must say what is to be corrected")

    @property
    def at(self) -> Instant:
        return instant(self.happened_at)

    @property
    def close_reason(self) -> CloseReason | None:
        if self.type not in _CLOSING or self.reason is None:
            return None
        return CloseReason(self.reason)

    def __repr__(self) -> str:
        return f"IssuerEvent(id={self.id!r}, type={self.type.value})"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with the time at which it was received and its outcome so far."""

    event: IssuerEvent = field(repr=False)
    received_at: Instant
    outcome: Outcome

    @property
    def id(self) -> str:
        return self.event.id

    def is_in_future_of(self, now: Instant) -> bool:
        """Whether it is dated later than the clocks can differ."""
        return self.event.at > now + ISSUER_CLOCK_SKEW

    @property
    def place(self) -> tuple[Instant, str]:
        """Sort key of the events of one citizen."""
        return self.event.at, self.event.id


_OF_SUBJECTS = Query(select(issuer_events_table).where(in_batch(issuer_events_table.c.subject_id)))
_ADD = insert_into(issuer_events_table)
_is_this = (
    issuer_events_table.c.subject_id == bindparam("of_subject"),
    issuer_events_table.c.id == bindparam("event_id"),
)
_SETTLE = Query(
    update(issuer_events_table).where(*_is_this).values(outcome=bindparam("new_outcome"))
)
_OPEN = Query(
    select(
        issuer_events_table.c.id,
        issuer_events_table.c.type,
        issuer_events_table.c.at,
        issuer_events_table.c.received_at,
        issuer_events_table.c.outcome,
    )
    .where(issuer_events_table.c.outcome != Outcome.TAKEN.value)
    .order_by(issuer_events_table.c.received_at)
    .limit(bindparam("limit"))
)
_DROP = Query(
    delete(issuer_events_table).where(
        *_is_this, issuer_events_table.c.outcome != Outcome.TAKEN.value
    )
)


def nobody(event_id: str) -> int:
    """The subject of an event that is about nobody known: a negative number, which nobody has."""
    return -1 - int.from_bytes(claims.text_key(event_id)[:7])


async def subjects_of(db: Reader, ids: Iterable[str]) -> dict[str, int]:
    """The subjects of stored events, by event id."""
    keys = {claims.text_key(event_id): event_id for event_id in ids}
    found = await claims.owners(db, ClaimKind.ISSUER_EVENT, keys)
    return {keys[key]: subject_id for key, subject_id in found.items()}


async def of_subjects(
    db: Reader, vault: Vault, subject_ids: Iterable[int]
) -> dict[int, list[StoredEvent]]:
    """Events by subject, in the order in which they happened."""
    found: dict[int, list[StoredEvent]] = {}
    for row in await fetch_in(db, _OF_SUBJECTS, subject_ids):
        stored = StoredEvent(_opened(row, vault), row["received_at"], Outcome(row["outcome"]))
        found.setdefault(row["subject_id"], []).append(stored)
    for events in found.values():
        events.sort(key=lambda stored: stored.place)
    return found


def add(
    writes: Writes,
    vault: Vault,
    event: IssuerEvent,
    subject_id: int,
    outcome: Outcome,
    now: Instant,
) -> None:
    """Stores an event, with the claim of its id."""
    content = msgspec.json.encode(event).decode()
    writes.add(
        _ADD,
        subject_id=subject_id,
        id=event.id,
        type=event.type.value,
        received_at=now,
        outcome=outcome.value,
        at=event.at,
        content=vault.seal(content, "issuer_events.content", event.at),
    )
    key = claims.text_key(event.id)
    claims.take(writes, ClaimKind.ISSUER_EVENT, key, subject_id, now)


def settle(writes: Writes, subject_id: int, event_id: str, outcome: Outcome) -> None:
    writes.add(_SETTLE, of_subject=subject_id, event_id=event_id, new_outcome=outcome.value)


async def open_events(db: Reader, limit: int) -> list[Row]:
    """Events that are not applied, oldest first: id, type, at, received_at, outcome."""
    return await db.fetch(_OPEN, limit=limit)


def drop(writes: Writes, subject_id: int, event_id: str) -> None:
    """Deletes an event that is not applied, and the claim of its id."""
    writes.guard(_DROP, of_subject=subject_id, event_id=event_id)
    key = claims.text_key(event_id)
    claims.release(writes, ClaimKind.ISSUER_EVENT, [key], subject_id)


def _opened(row: Row, vault: Vault) -> IssuerEvent:
    content = vault.open(bytes(row["content"]), "issuer_events.content", row["at"])
    return msgspec.json.decode(content, type=IssuerEvent)
