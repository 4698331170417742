"""A social security card: its states and the only transitions between them.

      –  ──issued──▶ SEALED ──activate──▶ ACTIVE ──report_loss──▶ LOST ──reissued──▶ CANCELLED
                                          │  ▲                     ▲
                       temporary_loss     ▼  │ expires after 7 days│ report_loss
                                     TEMPORARILY_LOST ─────────────┘
      lock / unlock: ACTIVE ◀──▶ LOCKED        report_loss: SEALED, LOCKED ──▶ LOST
      cancel: any ──▶ CANCELLED                cancel_loss: back to the state before the loss

A lost card remembers the state before the loss. Cancelling or expiring the loss restores it, so that
neither activates or unlocks a card; a card that is locked, unlocked or activated at an outlet
meanwhile changes what is remembered.

A citizen has at most one active card, and a cancelled card never changes again. The state codes
are those of AAZ502.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Label,
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
from core.crypto import Sealed, Vault
from core.db import Query, Reader, Row, Writes, fetch_in, in_batch, insert_into, metadata
from core.kernel import lengths
from core.kernel.clock import DAY, Instant
from core.kernel.confirmation import CONFIRMATIONS, Confirmation
from core.kernel.ids import new_id
from core.kernel.refusals import WrongCardState
from core.kernel.texts import Text

CHENGDU = "510100"
SICHUAN_PREFIX = "51"
TEMPORARY_LOSS_LASTS = 7 * DAY

cards_table = Table(
    "cards",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", LargeBinary, nullable=False),
    Column("number_index", LargeBinary, nullable=False),
    Column("region_code", String(lengths.REGION_CODE), nullable=False),
    Column("bank_code", String(lengths.REFERENCE_CODE), nullable=False),
    Column("batch_number", String(lengths.BATCH_NUMBER)),
    Column("issue_date", String(lengths.DAY), nullable=False),
    Column("state", String(1), nullable=False),
    Column("state_since", BigInteger, nullable=False),
    Column("state_before", String(1)),
    Column("confirmation", String(16), nullable=False, server_default=Confirmation.CONFIRMED.value),
    Column("snapshot_state", String(1)),
    Column("snapshot_state_since", BigInteger),
    Column("snapshot_state_before", String(1)),
    Column("snapshot_since", BigInteger, nullable=False, server_default="0"),
    ForeignKeyConstraint(["subject_id"], ["citizens.subject_id"], name="fk_cards_subject_id"),
    Index(
        "uq_cards_one_active",
        "subject_id",
        unique=True,
        sqlite_where=text("state = '1'"),
        postgresql_where=text("state = '1'"),
    ),
    Index(
        "ix_cards_temporarily_lost",
        "state_since",
        sqlite_where=text("state = '4'"),
        postgresql_where=text("state = '4'"),
    ),
    sqlite_with_rowid=False,
)

NUMBER = "card_number"


class CardState(StrEnum):
    SEALED = "0"
    ACTIVE = "1"
    LOST = "2"
    LOCKED = "3"
    TEMPORARILY_LOST = "4"
    CANCELLED = "9"


STATES: dict[str, CardState] = {state.value: state for state in CardState}
"""By the code in a row."""


def _state_or_none(code: str | None) -> CardState | None:
    return None if code is None else STATES[code]


def _code_or_none(state: CardState | None) -> str | None:
    return None if state is None else state.value


STATE_NAMES = {
    CardState.SEALED: Text("封存（未激活）", "not activated yet"),
    CardState.ACTIVE: Text("正常", "active"),
    CardState.LOST: Text("挂失", "reported lost"),
    CardState.LOCKED: Text("应用锁定", "locked"),
    CardState.TEMPORARILY_LOST: Text("临时挂失", "temporarily lost"),
    CardState.CANCELLED: Text("注销", "cancelled"),
}

ADD_CARD = insert_into(
    cards_table,
    *(column.name for column in cards_table.c if not column.name.startswith("snapshot_")),
)
_is_this = (
    cards_table.c.subject_id == bindparam("of_subject"),
    cards_table.c.id == bindparam("card_id"),
)
_SAVE_STATE = Query(
    update(cards_table)
    .where(*_is_this)
    .values(
        state=bindparam("new_state"),
        state_since=bindparam("since"),
        state_before=bindparam("before"),
        snapshot_state=None,
        snapshot_state_since=None,
        snapshot_state_before=None,
        snapshot_since=bindparam("since"),
    )
)
_SAVE_PROJECTION = Query(
    update(cards_table)
    .where(*_is_this)
    .values(
        state=bindparam("new_state"),
        state_since=bindparam("since"),
        state_before=bindparam("before"),
        snapshot_state=bindparam("snapshot"),
        snapshot_state_since=bindparam("snapshot_at"),
        snapshot_state_before=bindparam("snapshot_before"),
    )
)
_SAVE_EXPIRY = Query(
    update(cards_table)
    .where(*_is_this)
    .values(state=bindparam("new_state"), state_since=bindparam("since"), state_before=None)
)
_EXPIRED_LOSSES = Query(
    select(cards_table.c.id, cards_table.c.subject_id)
    .where(
        cards_table.c.state == CardState.TEMPORARILY_LOST.value,
        cards_table.c.state_since <= bindparam("until"),
    )
    .order_by(cards_table.c.state_since)
    .limit(200)
)
_CONFIRM = Query(
    update(cards_table).where(*_is_this).values(confirmation=Confirmation.CONFIRMED.value)
)
_REMOVE = Query(delete(cards_table).where(*_is_this))
_OF_SUBJECTS = Query(
    select(cards_table).where(in_batch(cards_table.c.subject_id)).order_by(cards_table.c.id)
)


class CardSummary(Struct, frozen=True):
    """What a citizen sees of a card.

    `state_before` is the state before a loss; None for a card that is not lost, and for one that was
    imported as lost, which was active. `confirmation` is that of the home region's move by the
    provincial card registry.
    """

    id: int
    number: Sealed
    region_code: str
    bank_code: str
    batch_number: str | None
    issue_date: str
    state: CardState
    state_since: Instant
    state_before: CardState | None
    confirmation: Confirmation

    @classmethod
    def from_row(cls, row: Row, vault: Vault, now: Instant, prefix: str = "") -> Self:
        """The card as of `now`: after an expired temporary loss in the state before it."""
        return cls.from_row_raw(row, vault, prefix).as_of(now)

    @classmethod
    def from_row_raw(cls, row: Row, vault: Vault, prefix: str = "", **more: Any) -> Self:
        """The card as stored: a temporary loss that has expired may still be in its row."""
        card_id: int = row[prefix + "id"]
        return cls(
            id=card_id,
            number=Sealed(vault, row[prefix + "number"], "cards.number", card_id),
            region_code=row[prefix + "region_code"],
            bank_code=row[prefix + "bank_code"],
            batch_number=row[prefix + "batch_number"],
            issue_date=row[prefix + "issue_date"],
            state=STATES[row[prefix + "state"]],
            state_since=row[prefix + "state_since"],
            state_before=_state_or_none(row[prefix + "state_before"]),
            confirmation=CONFIRMATIONS[row[prefix + "confirmation"]],
            **more,
        )

    def as_of(self, now: Instant) -> Self:
        """A temporary loss expires after seven days; the card is then in the state before it."""
        if self.state is not CardState.TEMPORARILY_LOST:
            return self
        ends = self.state_since + TEMPORARY_LOSS_LASTS
        if now < ends:
            return self
        return replace(self, state=self.state_unless_lost, state_since=ends, state_before=None)

    @property
    def is_lost(self) -> bool:
        return self.state in (CardState.LOST, CardState.TEMPORARILY_LOST)

    @property
    def state_unless_lost(self) -> CardState:
        """The state, or of a lost card the one that cancelling the loss restores."""
        return (self.state_before or CardState.ACTIVE) if self.is_lost else self.state


def summary_columns(prefix: str) -> list[Label[Any]]:
    """What `CardSummary.from_row` reads."""
    return [cards_table.c[name].label(prefix + name) for name in CardSummary.__struct_fields__]


class Card(CardSummary, frozen=True):
    """A card that may change. A transition returns the card in its new state, or raises a refusal.

    `snapshot` is the card as issued (`snapshot_since` is 0) or as its citizen left it at
    `snapshot_since`: without the changes by later events of the card issuer.
    """

    citizen_id: int
    number_index: bytes
    snapshot_state: CardState | None
    snapshot_state_since: Instant | None
    snapshot_state_before: CardState | None
    snapshot_since: Instant

    @classmethod
    def from_row_raw(cls, row: Row, vault: Vault, prefix: str = "", **more: Any) -> Self:
        return super().from_row_raw(
            row,
            vault,
            prefix,
            citizen_id=row[prefix + "subject_id"],
            number_index=row[prefix + "number_index"],
            snapshot_state=_state_or_none(row[prefix + "snapshot_state"]),
            snapshot_state_since=row[prefix + "snapshot_state_since"],
            snapshot_state_before=_state_or_none(row[prefix + "snapshot_state_before"]),
            snapshot_since=row[prefix + "snapshot_since"],
            **more,
        )

    @property
    def snapshot(self) -> "Card":
        if self.snapshot_state is None or self.snapshot_state_since is None:
            return self
        return replace(
            self,
            state=self.snapshot_state,
            state_since=self.snapshot_state_since,
            state_before=self.snapshot_state_before,
        )

    def activate(self, now: Instant) -> "Card":
        return self._move(CardState.ACTIVE, now, Text("激活", "activation"), CardState.SEALED)

    def report_loss(self, now: Instant) -> "Card":
        return self._lose(
            CardState.LOST,
            now,
            Text("挂失", "reporting a loss"),
            CardState.SEALED,
            CardState.ACTIVE,
            CardState.LOCKED,
            CardState.TEMPORARILY_LOST,
        )

    def cancel_loss(self, now: Instant) -> "Card":
        return self._move(
            self.state_unless_lost,
            now,
            Text("解挂", "cancelling a loss"),
            CardState.LOST,
            CardState.TEMPORARILY_LOST,
        )

    def reissued(self, now: Instant) -> "Card":
        return self._move(CardState.CANCELLED, now, Text("补卡", "a reissue"), CardState.LOST)

    def temporary_loss(self, now: Instant) -> "Card":
        """Reported through the 12333 phone line."""
        return self._lose(
            CardState.TEMPORARILY_LOST, now, Text("临时挂失", "a temporary loss"), CardState.ACTIVE
        )

    def lock(self, now: Instant) -> "Card":
        return self._move_or_remember(
            CardState.LOCKED, now, Text("应用锁定", "locking"), CardState.ACTIVE
        )

    def unlock(self, now: Instant) -> "Card":
        return self._move_or_remember(
            CardState.ACTIVE, now, Text("应用解锁", "unlocking"), CardState.LOCKED
        )

    def activate_at_outlet(self, now: Instant) -> "Card":
        return self._move_or_remember(
            CardState.ACTIVE, now, Text("激活", "activation"), CardState.SEALED
        )

    def cancel(self, now: Instant) -> "Card":
        return self._move(
            CardState.CANCELLED,
            now,
            Text("注销", "cancellation"),
            *(state for state in CardState if state is not CardState.CANCELLED),
        )

    def has_number(self, number: str, vault: Vault) -> bool:
        return self.number_index in vault.indexes(number, NUMBER)

    def _move(self, to: CardState, now: Instant, service: Text, *allowed: CardState) -> "Card":
        if self.state not in allowed:
            raise WrongCardState(state=STATE_NAMES[self.state], service=service)
        return replace(self, state=to, state_since=now, state_before=None)

    def _lose(self, to: CardState, now: Instant, service: Text, *allowed: CardState) -> "Card":
        lost = self._move(to, now, service, *allowed)
        return replace(lost, state_before=self.state_unless_lost)

    def _move_or_remember(
        self, to: CardState, now: Instant, service: Text, allowed: CardState
    ) -> "Card":
        """Of a lost card, only the state to be restored changes."""
        if self.is_lost and self.state_unless_lost is allowed:
            return replace(self, state_before=to)
        return self._move(to, now, service, allowed)


def save_state(writes: Writes, card: Card) -> None:
    """Writes a transition."""
    writes.add(
        _SAVE_STATE,
        of_subject=card.citizen_id,
        card_id=card.id,
        new_state=card.state.value,
        since=card.state_since,
        before=_code_or_none(card.state_before),
    )


def save_projection(writes: Writes, stored: Card, card: Card) -> None:
    """Writes the projected card without changing the snapshot."""
    writes.add(
        _SAVE_PROJECTION,
        of_subject=card.citizen_id,
        card_id=stored.id,
        new_state=card.state.value,
        since=card.state_since,
        before=_code_or_none(card.state_before),
        snapshot=stored.snapshot.state.value,
        snapshot_at=stored.snapshot.state_since,
        snapshot_before=_code_or_none(stored.snapshot.state_before),
    )


def save_expiry(writes: Writes, card: Card) -> None:
    """Writes the expiry of a temporary loss."""
    writes.add(
        _SAVE_EXPIRY,
        of_subject=card.citizen_id,
        card_id=card.id,
        new_state=card.state.value,
        since=card.state_since,
    )


async def find_expired_losses(db: Reader, now: Instant) -> list[tuple[int, int]]:
    """Card and citizen ids of temporary losses that have expired but are still in their rows."""
    rows = await db.fetch(_EXPIRED_LOSSES, until=now - TEMPORARY_LOSS_LASTS)
    return [(row["id"], row["subject_id"]) for row in rows]


async def of_citizens(
    db: Reader, vault: Vault, citizen_ids: Iterable[int]
) -> dict[int, list[Card]]:
    """The cards as stored (`from_row_raw`) by citizen, oldest first."""
    found: dict[int, list[Card]] = {}
    for row in await fetch_in(db, _OF_SUBJECTS, citizen_ids):
        found.setdefault(row["subject_id"], []).append(Card.from_row_raw(row, vault))
    return found


async def used_numbers(
    db: Reader, vault: Vault, region_code: str, numbers: Iterable[str]
) -> set[str]:
    """Those of the numbers that a card of the region has."""
    keys = {
        key: number
        for number in numbers
        for key in claims.card_keys(region_code, vault.indexes(number, NUMBER))
    }
    return {keys[key] for key in await claims.owners(db, ClaimKind.CARD, keys)}


def issue(
    writes: Writes,
    vault: Vault,
    now: Instant,
    *,
    citizen_id: int,
    number: str,
    region_code: str,
    bank_code: str,
    batch_number: str | None,
    issue_date: str,
    state: CardState,
    confirmation: Confirmation = Confirmation.CONFIRMED,
) -> Card:
    """Adds a card, with the claim of its number."""
    card_id, number_index = new_id(now), vault.index(number, NUMBER)
    row = {
        "subject_id": citizen_id,
        "id": card_id,
        "number": vault.seal(number, "cards.number", card_id),
        "number_index": number_index,
        "region_code": region_code,
        "bank_code": bank_code,
        "batch_number": batch_number,
        "issue_date": issue_date,
        "state": state.value,
        "state_since": now,
        "state_before": None,
        "confirmation": confirmation.value,
    }
    writes.add(ADD_CARD, **row)
    key = claims.card_keys(region_code, [number_index])[0]
    claims.take(writes, ClaimKind.CARD, key, citizen_id, now)
    unset = {
        "snapshot_state": None,
        "snapshot_state_since": None,
        "snapshot_state_before": None,
        "snapshot_since": 0,
    }
    return Card.from_row_raw(row | unset, vault)


def confirm(writes: Writes, citizen_id: int, card_id: int) -> None:
    """The provincial card registry has moved the card's home region to Chengdu."""
    writes.add(_CONFIRM, of_subject=citizen_id, card_id=card_id)


def remove(writes: Writes, vault: Vault, card: Card) -> None:
    """Removes a card whose move was rejected, and the claim of its number."""
    writes.guard(_REMOVE, of_subject=card.citizen_id, card_id=card.id)
    keys = claims.card_keys(card.region_code, vault.indexes(card.number.reveal(), NUMBER))
    claims.release(writes, ClaimKind.CARD, keys, card.citizen_id)
