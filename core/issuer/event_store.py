"""What the card issuer reported: every event by its id, sealed, with what became of it.

Events are kept for as long as settled effects are, so that what a person's order or card comes
to can be told anew from all of them whenever another one arrives, whatever the order was.
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


CLOCK_SKEW = 5 * MINUTE
"""By how much the issuer's clock may differ from ours."""


class IssuerEventType(StrEnum):
    NODE_RESULT = "NODE_RESULT"
    TEMPORARY_LOSS = "TEMPORARY_LOSS"
    LOCK = "LOCK"
    UNLOCK = "UNLOCK"
    CANCEL = "CANCEL"


class Outcome(StrEnum):
    """WAITING: early, the node before it is not done yet. The last two are for an operator."""

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
    """An event, when it came, and what has become of it so far."""

    event: IssuerEvent = field(repr=False)
    received_at: Instant
    outcome: Outcome

    @property
    def id(self) -> str:
        return self.event.id

    def is_in_future_of(self, now: Instant) -> bool:
        """It cannot have happened yet, by any clock."""
        return self.event.at > now + CLOCK_SKEW

    @property
    def place(self) -> tuple[Instant, str]:
        """By which events of one person are put into order."""
        return self.event.at, self.event.id


_KNOWN = Query(select(issuer_events_table).where(in_batch(issuer_events_table.c.id)))
_OF_PERSONS = Query(select(issuer_events_table).where(in_batch(issuer_events_table.c.citizen_id)))
_ADD = insert_into(issuer_events_table)
_SETTLE = Query(
    update(issuer_events_table)
    .where(issuer_events_table.c.id == bindparam("event_id"))
    .values(outcome=bindparam("new_outcome"), citizen_id=bindparam("person"))
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
    .limit(bindparam("most"))
)
_DROP = Query(
    delete(issuer_events_table)
    .where(
        issuer_events_table.c.id == bindparam("event_id"),
        issuer_events_table.c.outcome != Outcome.TAKEN.value,
    )
    .returning(issuer_events_table.c.id)
)


async def known(db: Reader, vault: Vault, ids: Iterable[str]) -> dict[str, IssuerEvent | None]:
    """Those of the ids that came before; None for one that is so old that only its id is left."""
    rows = await fetch_in(db, _KNOWN, ids)
    return {row["id"]: row["content"] and _opened(row, vault) for row in rows}


async def of_persons(
    db: Reader, vault: Vault, persons: Iterable[int]
) -> dict[int, list[StoredEvent]]:
    """Each person's events, in the order in which they happened."""
    found: dict[int, list[StoredEvent]] = {}
    for row in await fetch_in(db, _OF_PERSONS, persons):
        if row["content"] is not None:
            kept = StoredEvent(_opened(row, vault), row["received_at"], Outcome(row["outcome"]))
            found.setdefault(row["citizen_id"], []).append(kept)
    for events in found.values():
        events.sort(key=lambda kept: kept.place)
    return found


async def add(
    db: Transaction,
    vault: Vault,
    events: Iterable[tuple[IssuerEvent, int | None]],
    now: Instant,
) -> None:
    """Each with the person it is about, where there is one. In order of their ids: of two
    transactions that add the same ones, neither waits for what the other holds."""
    rows = [
        {
            "id": event.id,
            "type": event.type.value,
            "received_at": now,
            "outcome": (Outcome.UNKNOWN_SUBJECT if person is None else Outcome.WAITING).value,
            "citizen_id": person,
            "at": event.at,
            "content": vault.seal(
                msgspec.json.encode(event).decode(), "issuer_events.content", event.at
            ),
        }
        for event, person in sorted(events, key=lambda pair: pair[0].id)
    ]
    await db.execute_many(_ADD, rows)


async def settle(db: Transaction, outcomes: Sequence[tuple[str, Outcome, int]]) -> None:
    await db.execute_many(
        _SETTLE,
        [
            {"event_id": event_id, "new_outcome": outcome.value, "person": person}
            for event_id, outcome, person in outcomes
        ],
    )


async def open_events(db: Reader, most: int) -> list[Row]:
    """What is not taken, oldest first: id, type, at, received_at, outcome."""
    return await db.fetch(_OPEN, most=most)


async def drop(db: Transaction, event_id: str) -> bool:
    """Forgets an event that is not taken."""
    return await db.fetch_one(_DROP, event_id=event_id) is not None


def _opened(row: Row, vault: Vault) -> IssuerEvent:
    content = vault.open(bytes(row["content"]), "issuer_events.content", row["at"])
    return msgspec.json.decode(content, type=IssuerEvent)
