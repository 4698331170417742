"""Event store: every event of the card issuer by its id, encrypted, with its outcome.

Applied events are stored for `retention_days`, so that an order's or a card's state can be
recomputed from all its events whenever another one arrives, in whatever order.
"""

from collections.abc import Iterable, Sequence
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

from core.crypto import Vault
from core.db import Query, Reader, Row, Transaction, fetch_in, in_batch, insert_into, metadata
from core.kernel import lengths
from core.kernel.clock import MINUTE, Instant, instant
from core.production import NodeResult, ProductionNode

issuer_events_table = Table(
    "issuer_events",
    metadata,
    Column("id", String(lengths.ISSUER_TEXT), primary_key=True),
    Column("type", String(24), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("outcome", String(24), nullable=False),
    Column("citizen_id", BigInteger),
    Column("at", BigInteger),
    Column("content", LargeBinary),
    Index("ix_issuer_events_citizen_id", "citizen_id"),
    Index(
        "ix_issuer_events_open",
        "received_at",
        sqlite_where=text("outcome <> 'TAKEN'"),
        postgresql_where=text("outcome <> 'TAKEN'"),
    ),
)


ISSUER_CLOCK_SKEW = 5 * MINUTE
"""Maximum difference between the issuer's clock and ours."""


class IssuerEventType(StrEnum):
    NODE_RESULT = "NODE_RESULT"
    TEMPORARY_LOSS = "TEMPORARY_LOSS"
    LOCK = "LOCK"
    UNLOCK = "UNLOCK"
    CANCEL = "CANCEL"


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

    `happened_at` is `at` on the wire. Node results name an order; the other types name a card and
    the social security number of its holder.
    """

    id: Annotated[_Text, msgspec.Meta(min_length=1)]
    type: IssuerEventType
    happened_at: Annotated[datetime, msgspec.Meta(tz=True)] = msgspec.field(name="at")
    order_number: _Text | None = None
    node: ProductionNode | None = None
    result: NodeResult | None = None
    reason: str | None = None
    batch_number: _Text | None = None
    card_number: _Text | None = None
    social_security_number: str | None = None

    def __post_init__(self) -> None:
        texts = (self.id, self.order_number, self.batch_number, self.card_number)
        if not all((text or "").isprintable() for text in texts):
            raise ValueError("an id or number must consist of printable characters")

    @property
    def at(self) -> Instant:
        return instant(self.happened_at)

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


_BY_ID = Query(select(issuer_events_table).where(in_batch(issuer_events_table.c.id)))
_OF_CITIZENS = Query(select(issuer_events_table).where(in_batch(issuer_events_table.c.citizen_id)))
_ADD = insert_into(issuer_events_table)
_SETTLE = Query(
    update(issuer_events_table)
    .where(issuer_events_table.c.id == bindparam("event_id"))
    .values(outcome=bindparam("new_outcome"), citizen_id=bindparam("citizen_id"))
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
    delete(issuer_events_table)
    .where(
        issuer_events_table.c.id == bindparam("event_id"),
        issuer_events_table.c.outcome != Outcome.TAKEN.value,
    )
    .returning(issuer_events_table.c.id)
)


async def find(db: Reader, vault: Vault, ids: Iterable[str]) -> dict[str, IssuerEvent | None]:
    """Stored events by id; None for an event whose content is no longer stored."""
    rows = await fetch_in(db, _BY_ID, ids)
    return {row["id"]: row["content"] and _opened(row, vault) for row in rows}


async def of_citizens(
    db: Reader, vault: Vault, citizen_ids: Iterable[int]
) -> dict[int, list[StoredEvent]]:
    """Events by citizen id, in the order in which they happened."""
    found: dict[int, list[StoredEvent]] = {}
    for row in await fetch_in(db, _OF_CITIZENS, citizen_ids):
        if row["content"] is not None:
            stored = StoredEvent(_opened(row, vault), row["received_at"], Outcome(row["outcome"]))
            found.setdefault(row["citizen_id"], []).append(stored)
    for events in found.values():
        events.sort(key=lambda stored: stored.place)
    return found


async def add(
    db: Transaction,
    vault: Vault,
    events: Iterable[tuple[IssuerEvent, int | None]],
    now: Instant,
) -> None:
    """Adds events, each with the id of the citizen whom it is about, or None.

    They are inserted in order of their ids, so that two transactions with the same events cannot
    deadlock.
    """
    rows = [
        {
            "id": event.id,
            "type": event.type.value,
            "received_at": now,
            "outcome": (Outcome.UNKNOWN_SUBJECT if citizen_id is None else Outcome.WAITING).value,
            "citizen_id": citizen_id,
            "at": event.at,
            "content": vault.seal(
                msgspec.json.encode(event).decode(), "issuer_events.content", event.at
            ),
        }
        for event, citizen_id in sorted(events, key=lambda pair: pair[0].id)
    ]
    await db.execute_many(_ADD, rows)


async def settle(db: Transaction, outcomes: Sequence[tuple[str, Outcome, int]]) -> None:
    await db.execute_many(
        _SETTLE,
        [
            {"event_id": event_id, "new_outcome": outcome.value, "citizen_id": citizen_id}
            for event_id, outcome, citizen_id in outcomes
        ],
    )


async def open_events(db: Reader, limit: int) -> list[Row]:
    """Events that are not applied, oldest first: id, type, at, received_at, outcome."""
    return await db.fetch(_OPEN, limit=limit)


async def drop(db: Transaction, event_id: str) -> bool:
    """Deletes an event that is not applied. False if there is no such event."""
    return await db.fetch_one(_DROP, event_id=event_id) is not None


def _opened(row: Row, vault: Vault) -> IssuerEvent:
    content = vault.open(bytes(row["content"]), "issuer_events.content", row["at"])
    return msgspec.json.decode(content, type=IssuerEvent)
