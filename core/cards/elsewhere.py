"""Cards elsewhere: whether a citizen holds a card of another region, as the provincial card registry said.

Kept for a day, so that the services know it without asking again.
"""

from typing import Any

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Label,
    String,
    Table,
    bindparam,
    delete,
)

from core.cards.cards import CHENGDU, SICHUAN_PREFIX, STATES, CardState
from core.db import Id, Query, Row, Writes, metadata
from core.kernel import lengths
from core.kernel.clock import DAY, Instant

RETENTION = DAY

cards_elsewhere_table = Table(
    "cards_elsewhere",
    metadata,
    Column(
        "subject_id", Id, ForeignKey("citizens.subject_id"), primary_key=True, autoincrement=False
    ),
    Column("region_code", String(lengths.REGION_CODE)),
    Column("region_name", String(lengths.REGION_NAME)),
    Column("state", String(1)),
    Column("enrolled", Boolean),
    Column("at", BigInteger, nullable=False),
)

_changed: dict[str, Any] = {
    name: bindparam(name) for name in ("region_code", "region_name", "state", "enrolled", "at")
}
_SAVE = Query(
    lambda insert: (
        insert(cards_elsewhere_table)
        .values(subject_id=bindparam("subject_id"), **_changed)
        .on_conflict_do_update(index_elements=["subject_id"], set_=_changed)
    )
)
DELETE_OLD = Query(
    delete(cards_elsewhere_table).where(cards_elsewhere_table.c.at < bindparam("before"))
)


class CardElsewhere(Struct, frozen=True):
    """A card of another region that is not cancelled.

    `enrolled`: whether the citizen is enrolled in any insurance in Chengdu, without which nothing can
    be transferred; None while that is unknown.
    """

    region_code: str
    region_name: str
    state: CardState
    enrolled: bool | None = None

    @property
    def in_province(self) -> bool:
        return self.region_code.startswith(SICHUAN_PREFIX) and self.region_code != CHENGDU

    @property
    def transferable(self) -> bool:
        return self.in_province and self.state is CardState.ACTIVE


class CardsElsewhere(Struct, frozen=True):
    """The registry's answer; `card` is the one that can be transferred in, if any, and None if the
    citizen holds no card of another region."""

    card: CardElsewhere | None = None


def of_cards(cards: list[CardElsewhere]) -> CardsElsewhere:
    ranked = sorted(cards, key=lambda card: (not card.transferable, not card.in_province))
    return CardsElsewhere(ranked[0] if ranked else None)


def columns(prefix: str) -> list[Label[Any]]:
    """What `from_row` reads."""
    names = ("region_code", "region_name", "state", "enrolled", "at")
    return [cards_elsewhere_table.c[name].label(prefix + name) for name in names]


def from_row(row: Row, now: Instant, prefix: str) -> CardsElsewhere | None:
    """None if the registry has not answered within the last day."""
    at = row[prefix + "at"]
    if at is None or at + RETENTION <= now:
        return None
    code = row[prefix + "region_code"]
    if code is None:
        return CardsElsewhere()
    enrolled = row[prefix + "enrolled"]
    return CardsElsewhere(
        CardElsewhere(
            region_code=code,
            region_name=row[prefix + "region_name"],
            state=STATES[row[prefix + "state"]],
            enrolled=None if enrolled is None else bool(enrolled),
        )
    )


def save(writes: Writes, citizen_id: int, answer: CardsElsewhere, now: Instant) -> None:
    card = answer.card
    writes.add(
        _SAVE,
        subject_id=citizen_id,
        region_code=None if card is None else card.region_code,
        region_name=None if card is None else card.region_name,
        state=None if card is None else card.state.value,
        enrolled=None if card is None else card.enrolled,
        at=now,
    )
