"""A holder: one citizen with all their cards and the open application, read in one statement."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Generic, TypeVar

from msgspec import Struct
from sqlalchemy import FromClause, and_, bindparam, select

from core.applications import Application, ApplicationKind, application_columns, applications_table
from core.cards.cards import (
    Card,
    CardState,
    CardSummary,
    cards_table,
    summary_columns,
)
from core.citizens import (
    Citizen,
    CitizenIdentity,
    citizens_table,
    passwords,
    service_passwords_table,
)
from core.citizens import citizens as people
from core.crypto import Vault
from core.db import Query, Reader, Row, Transaction
from core.kernel.clock import Instant
from core.kernel.refusals import NoCard, TryAgainLater
from core.production import production_orders_table

CARD_COLUMNS = (*people.identity_columns("citizen_"), *summary_columns("card_"))
COLUMNS = (
    *people.columns("citizen_"),
    *(column.label(f"card_{column.name}") for column in cards_table.c),
    *application_columns("application_"),
    service_passwords_table.c.locked_until,
    select(production_orders_table.c.id)
    .where(production_orders_table.c.citizen_id == citizens_table.c.id)
    .exists()
    .label("has_production"),
)


def join_cards(citizen: FromClause) -> FromClause:
    """Joins the cards to a FROM clause that contains `citizens`."""
    return citizen.outerjoin(cards_table, cards_table.c.citizen_id == citizens_table.c.id)


def join_holder_tables(citizen: FromClause) -> FromClause:
    """Joins cards, open application and service password."""
    return (
        join_cards(citizen)
        .outerjoin(
            applications_table,
            and_(
                applications_table.c.citizen_id == citizens_table.c.id,
                applications_table.c.closed_at.is_(None),
            ),
        )
        .outerjoin(
            service_passwords_table, service_passwords_table.c.citizen_id == citizens_table.c.id
        )
    )


OF_CITIZEN = Query(
    select(*COLUMNS)
    .select_from(join_holder_tables(citizens_table))
    .where(citizens_table.c.id == bindparam("citizen_id"))
)
CARDS_OF_CITIZEN = Query(
    select(*CARD_COLUMNS)
    .select_from(join_cards(citizens_table))
    .where(citizens_table.c.id == bindparam("citizen_id"))
)
"""Without ORDER BY: `_cards` sorts, which costs nothing for the usual single card."""

C = TypeVar("C", bound=CardSummary)


class CardHolder(Struct, Generic[C], frozen=True):
    """`cards` are newest first, the cancelled ones included."""

    citizen: CitizenIdentity
    cards: tuple[C, ...]

    @property
    def card(self) -> C:
        """The current card, or the newest cancelled one. Raises `NoCard`."""
        found = self.current or (self.cards[0] if self.cards else None)
        if found is None:
            raise NoCard
        return found

    @property
    def current(self) -> C | None:
        """The newest card that is not cancelled."""
        for card in self.cards:
            if card.state is not CardState.CANCELLED:
                return card
        return None

    def in_state(self, *states: CardState) -> C | None:
        for card in self.cards:
            if card.state in states:
                return card
        return None


class Holder(CardHolder[Card], frozen=True):
    """A holder with everything that eligibility for the services depends on.

    `password_locked_for` is in milliseconds; `password_locked_until` is None without a password.
    """

    citizen: Citizen
    application: Application | None
    has_production: bool
    password_locked_until: Instant | None
    password_locked_for: int

    @property
    def reissue_open(self) -> bool:
        return self.application is not None and self.application.kind is ApplicationKind.REISSUE


async def find_with_cards(
    db: Reader, vault: Vault, now: Instant, citizen_id: int
) -> CardHolder[CardSummary]:
    rows = await db.fetch(CARDS_OF_CITIZEN, citizen_id=citizen_id)
    if not rows:
        raise TryAgainLater(retry_after=1)
    citizen = people.identity_of(rows[0], vault, "citizen_")
    return CardHolder(citizen, _cards(rows, CardSummary.from_row, vault, now))


def _cards(
    rows: Sequence[Row],
    card_of: Callable[[Row, Vault, Instant, str], C],
    vault: Vault,
    now: Instant,
) -> tuple[C, ...]:
    found = [card_of(row, vault, now, "card_") for row in rows if row["card_id"] is not None]
    if len(found) > 1:
        found.sort(key=attrgetter("id"), reverse=True)
    return tuple(found)


async def find(db: Reader, vault: Vault, now: Instant, citizen_id: int) -> Holder:
    rows = await db.fetch(OF_CITIZEN, citizen_id=citizen_id)
    if not rows:
        raise TryAgainLater(retry_after=1)
    first = rows[0]
    return Holder(
        citizen=Citizen.from_row(first, vault, "citizen_"),
        cards=_cards(rows, Card.from_row, vault, now),
        application=None
        if first["application_id"] is None
        else Application.from_row(first, "application_"),
        has_production=bool(first["has_production"]),
        password_locked_until=first["locked_until"],
        password_locked_for=passwords.locked_for(first["locked_until"] or 0, now),
    )


async def lock(db: Transaction, vault: Vault, now: Instant, citizen_id: int) -> Holder:
    """Locks the citizen's row, then reads the holder: changes of one citizen run one at a time."""
    await people.lock(db, citizen_id)
    return await find(db, vault, now, citizen_id)
