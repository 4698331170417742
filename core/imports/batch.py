"""Imports one batch of lines: finds new, existing and conflicting cards, and writes the new ones.

Reads and writes in one transaction. A new citizen is added once, however many of their cards the batch
contains.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import bindparam, select, text

from core.audit import DONE, OPERATOR, Action, audit_entries_table, audit_heads_table
from core.cards import ADD_CARD, NUMBER, CardState, cards_table
from core.citizens import PHONE, SSN, citizens_table
from core.citizens import citizens as people
from core.crypto import Seals, Vault
from core.db import Query, Reader, Transaction, fetch_in, in_batch, insert_into
from core.imports.lines import BadLine, CardLine
from core.kernel.clock import Instant
from core.kernel.confirmation import Confirmation
from core.kernel.ids import new_id

Indexes: TypeAlias = Sequence[bytes]

IN_USE = frozenset({CardState.ACTIVE, CardState.LOST, CardState.LOCKED, CardState.TEMPORARILY_LOST})
"""States of a card that is active or can become active again; a citizen has at most one such card."""

_PEOPLE = Query(
    select(
        citizens_table.c.id,
        citizens_table.c.name,
        citizens_table.c.social_security_number_index,
        citizens_table.c.phone_index,
        audit_heads_table.c.number,
        audit_heads_table.c.mac,
    )
    .select_from(
        citizens_table.outerjoin(
            audit_heads_table, audit_heads_table.c.subject_id == citizens_table.c.id
        )
    )
    .where(in_batch(citizens_table.c.social_security_number_index))
    .order_by(citizens_table.c.id)
    .with_for_update(of=citizens_table)
)
_PHONES = Query(
    select(citizens_table.c.id, citizens_table.c.phone_index).where(
        in_batch(citizens_table.c.phone_index)
    )
)
_CARDS = Query(
    select(cards_table.c.citizen_id, cards_table.c.number_index).where(
        cards_table.c.region_code == bindparam("region"), in_batch(cards_table.c.number_index)
    )
)
_HOLDERS = Query(
    select(cards_table.c.citizen_id).where(
        in_batch(cards_table.c.citizen_id),
        cards_table.c.state.in_([bindparam(s.name) for s in IN_USE]),
    )
)
_ADD_PERSON = insert_into(
    citizens_table,
    "id",
    "name",
    SSN,
    f"{SSN}_index",
    PHONE,
    f"{PHONE}_index",
    "created_at",
    "version",
)
_ADD_ENTRY = insert_into(audit_entries_table)
_MOVE_HEAD = Query(
    lambda insert: (
        insert(audit_heads_table)
        .values(
            subject_id=bindparam("subject_id"), number=bindparam("number"), mac=bindparam("mac")
        )
        .on_conflict_do_update(
            index_elements=["subject_id"],
            set_={"number": text("excluded.number"), "mac": text("excluded.mac")},
        )
    )
)


@dataclass(slots=True)
class KeyedLine:
    """A line with its blind indexes, under each index key in use."""

    line: CardLine
    number: Indexes
    phone: Indexes
    card: Indexes

    @classmethod
    def of(cls, line: CardLine, vault: Vault) -> "KeyedLine":
        return cls(
            line,
            vault.indexes(line.social_security_number, SSN),
            vault.indexes(line.phone, PHONE) if line.phone else (),
            vault.indexes(line.card_number, NUMBER),
        )

    @property
    def card_key(self) -> bytes:
        """Identifies the card in the journal, across regions."""
        return self.line.region_code.encode() + self.card[0][-16:]


@dataclass(frozen=True, slots=True)
class Written:
    """`last_card` is the id of the last card that was added, 0 if none was."""

    added: int
    already: int
    bad: list[BadLine]
    last_card: int


@dataclass(slots=True)
class _Person:
    id: int
    name: str = field(repr=False)
    phone_index: bytes | None
    entry: int = 0
    mac: bytes = b""
    in_use: bool = False
    new: KeyedLine | None = None
    new_phone: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class _Plan:
    """What the database has of the batch's citizens and cards, and what is to be added."""

    vault: Vault
    now: Instant
    people: dict[bytes, _Person]
    owners: dict[bytes, int]
    cards: dict[tuple[str, bytes], int]
    adds: list[tuple[KeyedLine, _Person]] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    already: int = 0

    def add_line(self, keyed: KeyedLine) -> None:
        line = keyed.line
        person = _first(self.people, keyed.number)
        owner_of_card = _first(self.cards, [(line.region_code, index) for index in keyed.card])
        if person is not None and person.name != line.name:
            self._refuse(line, "name", "another name is on file for this social_security_number")
        elif owner_of_card is not None and (person is None or person.id != owner_of_card):
            self._refuse(line, "card_number", "is the card of somebody else")
        elif owner_of_card is not None:
            self.already += 1
        elif self._phone_fits(keyed, person) and self._state_fits(line, person):
            self._add(keyed, person)

    def _phone_fits(self, keyed: KeyedLine, person: _Person | None) -> bool:
        owner = _first(self.owners, keyed.phone)
        if owner is not None and (person is None or person.id != owner):
            self._refuse(keyed.line, "phone", "is the phone of somebody else")
            return False
        on_file = person.phone_index if person else None
        if keyed.phone and on_file is not None and on_file not in keyed.phone:
            self._refuse(keyed.line, "phone", "another phone is on file for this person")
            return False
        return True

    def _state_fits(self, line: CardLine, person: _Person | None) -> bool:
        if person is None or not person.in_use or line.state not in IN_USE:
            return True
        self._refuse(line, "state", "the person has another card that is active or can be again")
        return False

    def _add(self, keyed: KeyedLine, person: _Person | None) -> None:
        line = keyed.line
        if person is None:
            person = _Person(new_id(self.now), line.name, None, new=keyed)
            self.people[keyed.number[0]] = person
        if line.phone and person.phone_index is None:
            person.new_phone, person.phone_index = line.phone, keyed.phone[0]
            self.owners[keyed.phone[0]] = person.id
        person.in_use = person.in_use or line.state in IN_USE
        self.cards[line.region_code, keyed.card[0]] = person.id
        self.adds.append((keyed, person))

    def _refuse(self, line: CardLine, column: str, reason: str) -> None:
        self.bad.append(BadLine(line.line, column, reason))


async def write_batch(
    db: Transaction, vault: Vault, seals: Seals, now: Instant, lines: Sequence[KeyedLine]
) -> Written:
    plan = await _look_up(db, vault, now, lines)
    for keyed in lines:
        plan.add_line(keyed)
    changed = list({person.id: person for _, person in plan.adds}.values())
    await db.execute_many(
        _ADD_PERSON, [_person_row(vault, now, p, p.new) for p in changed if p.new is not None]
    )
    for person in changed:
        if person.new is None and person.new_phone is not None:
            await people.set_phone(db, vault, person.id, person.new_phone)
    rows = [_card_row(vault, now, keyed, person.id) for keyed, person in plan.adds]
    await db.execute_many(ADD_CARD, rows)
    await db.execute_many(
        _ADD_ENTRY,
        [
            _audit_row(seals, now, person, row["id"])
            for row, (_, person) in zip(rows, plan.adds, strict=True)
        ],
    )
    await db.execute_many(
        _MOVE_HEAD, [{"subject_id": p.id, "number": p.entry, "mac": p.mac} for p in changed]
    )
    return Written(len(rows), plan.already, plan.bad, rows[-1]["id"] if rows else 0)


async def _look_up(db: Reader, vault: Vault, now: Instant, lines: Sequence[KeyedLine]) -> _Plan:
    known = {}
    for row in await fetch_in(db, _PEOPLE, (i for keyed in lines for i in keyed.number)):
        known[bytes(row["social_security_number_index"])] = _Person(
            id=row["id"],
            name=vault.open(row["name"], "citizens.name", row["id"]),
            phone_index=row["phone_index"],
            entry=row["number"] or 0,
            mac=bytes(row["mac"] or b""),
        )
    states = {state.name: state.value for state in IN_USE}
    ids = (person.id for person in known.values())
    holders = {row["citizen_id"] for row in await fetch_in(db, _HOLDERS, ids, **states)}
    for person in known.values():
        person.in_use = person.id in holders
    phones = await fetch_in(db, _PHONES, (i for keyed in lines for i in keyed.phone))
    owners_of_cards = {}
    for region in {keyed.line.region_code for keyed in lines}:
        numbers = (i for keyed in lines if keyed.line.region_code == region for i in keyed.card)
        for row in await fetch_in(db, _CARDS, numbers, region=region):
            owners_of_cards[region, bytes(row["number_index"])] = row["citizen_id"]
    return _Plan(
        vault=vault,
        now=now,
        people=known,
        owners={bytes(row["phone_index"]): row["id"] for row in phones},
        cards=owners_of_cards,
    )


def _person_row(vault: Vault, now: Instant, person: _Person, keyed: KeyedLine) -> dict[str, Any]:
    """As `citizens.new_row`, with the indexes computed before."""
    number, phone = keyed.line.social_security_number, person.new_phone
    return {
        "id": person.id,
        "name": vault.seal(person.name, "citizens.name", person.id),
        SSN: vault.seal(number, f"citizens.{SSN}", person.id),
        f"{SSN}_index": keyed.number[0],
        PHONE: vault.seal(phone, f"citizens.{PHONE}", person.id) if phone else None,
        f"{PHONE}_index": person.phone_index,
        "created_at": now,
        "version": 1,
    }


def _card_row(vault: Vault, now: Instant, keyed: KeyedLine, citizen_id: int) -> dict[str, Any]:
    line, card_id = keyed.line, new_id(now)
    return {
        "id": card_id,
        "citizen_id": citizen_id,
        "number": vault.seal(line.card_number, "cards.number", card_id),
        "number_index": keyed.card[0],
        "region_code": line.region_code,
        "bank_code": line.bank_code,
        "batch_number": line.batch_number,
        "issue_date": line.issue_date,
        "state": line.state.value,
        "state_since": now,
        "version": 1,
        "confirmation": Confirmation.CONFIRMED.value,
    }


def _audit_row(seals: Seals, now: Instant, person: _Person, card_id: int) -> dict[str, Any]:
    """The next entry of the citizen's audit chain, as `audit.record` writes it."""
    details = f'{{"card": {card_id}}}'
    before, person.entry = person.mac, person.entry + 1
    person.mac = seals.audit(
        person.id,
        person.entry,
        now,
        Action.IMPORTED,
        DONE,
        OPERATOR,
        0,
        details,
        before.hex(),
    )
    return {
        "subject_id": person.id,
        "number": person.entry,
        "at": now,
        "action": Action.IMPORTED.value,
        "result": DONE,
        "channel": OPERATOR,
        "session_id": 0,
        "details": details,
        "mac": person.mac,
    }


def _first(found: dict[Any, Any], keys: Iterable[Any]) -> Any:
    for key in keys:
        if key in found:
            return found[key]
    return None
