"""A holder: one citizen with all their cards and the open application, read in one statement.

Every table is joined by the citizen's id, so that one person's rows are enough."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Generic, TypeVar

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    FromClause,
    and_,
    bindparam,
    select,
)

from core.applications import Application, ApplicationKind, application_columns, applications_table
from core.cards import elsewhere
from core.cards.cards import (
    Card,
    CardState,
    CardSummary,
    cards_table,
    summary_columns,
)
from core.cards.elsewhere import CardsElsewhere, cards_elsewhere_table
from core.citizens import (
    Citizen,
    CitizenIdentity,
    Head,
    citizens_table,
    heads,
    passwords,
    service_passwords_table,
)
from core.citizens import citizens as people
from core.crypto import Vault
from core.db import Query, Reader, Row
from core.kernel.clock import Instant
from core.kernel.refusals import NoCard, TryAgainLater
from core.production import production_orders_table

CARD_COLUMNS = (*people.identity_columns("citizen_"), *summary_columns("card_"))


def columns(citizen_id: ColumnElement[int]) -> tuple[ColumnElement[Any], ...]:
    """What `find` reads of this citizen."""
    has_production = select(production_orders_table.c.id).where(
        production_orders_table.c.subject_id == citizen_id
    )
    return (
        *people.columns("citizen_"),
        *heads.columns(),
        *(column.label(f"card_{column.name}") for column in cards_table.c),
        *application_columns("application_"),
        service_passwords_table.c.locked_until,
        *elsewhere.columns("elsewhere_"),
        has_production.exists().label("has_production"),
    )


def join_cards(citizen: FromClause) -> FromClause:
    """Joins the cards to a FROM clause that contains `citizens`."""
    return citizen.outerjoin(cards_table, cards_table.c.subject_id == citizens_table.c.subject_id)


def join_holder_tables(citizen: FromClause) -> FromClause:
    """Joins cards, open application, service password, cards elsewhere and head."""
    return (
        people.join_head(join_cards(citizen))
        .outerjoin(
            applications_table,
            and_(
                applications_table.c.subject_id == citizens_table.c.subject_id,
                applications_table.c.closed_at.is_(None),
            ),
        )
        .outerjoin(
            service_passwords_table,
            service_passwords_table.c.subject_id == citizens_table.c.subject_id,
        )
        .outerjoin(
            cards_elsewhere_table,
            cards_elsewhere_table.c.subject_id == citizens_table.c.subject_id,
        )
    )


_citizen_id: BindParameter[int] = bindparam("citizen_id", type_=BigInteger)
OF_CITIZEN = Query(
    select(*columns(_citizen_id))
    .select_from(join_holder_tables(citizens_table))
    .where(citizens_table.c.subject_id == _citizen_id)
)
CARDS_OF_CITIZEN = Query(
    select(*CARD_COLUMNS)
    .select_from(join_cards(citizens_table))
    .where(citizens_table.c.subject_id == _citizen_id)
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
    `elsewhere` is None while it is unknown whether there are cards of other regions.
    """

    citizen: Citizen
    head: Head
    application: Application | None
    has_production: bool
    password_locked_until: Instant | None
    password_locked_for: int
    elsewhere: CardsElsewhere | None

    @property
    def reissue_open(self) -> bool:
        return self.application is not None and self.application.kind is ApplicationKind.REISSUE

    def is_made(self, card: Card) -> bool:
        """Whether it is the card that was made for the open application."""
        return self.application is not None and self.application.new_card_id == card.id


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
        head=heads.head_from(first),
        cards=_cards(rows, Card.from_row, vault, now),
        application=None
        if first["application_id"] is None
        else Application.from_row(first, "application_"),
        has_production=bool(first["has_production"]),
        password_locked_until=first["locked_until"],
        password_locked_for=passwords.locked_for(first["locked_until"] or 0, now),
        elsewhere=elsewhere.from_row(first, now, "elsewhere_"),
    )
