"""Imports one batch of lines: finds new, existing and conflicting cards, and writes the new ones.

Reads and writes in one transaction. A new citizen is added once, however many of their cards the batch
contains.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import bindparam, select

from core.audit import ADD_ENTRY, DONE, MOVE_HEAD, OPERATOR, Action, audit_heads_table
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

_CITIZENS = Query(
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
_ADD_CITIZEN = insert_into(
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
class _Citizen:
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
    citizens: dict[bytes, _Citizen]
    owners: dict[bytes, int]
    cards: dict[tuple[str, bytes], int]
    adds: list[tuple[KeyedLine, _Citizen]] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    already: int = 0

    def add_line(self, keyed: KeyedLine) -> None:
        line = keyed.line
        citizen = _first(self.citizens, keyed.number)
        owner_of_card = _first(self.cards, [(line.region_code, index) for index in keyed.card])
        if citizen is not None and citizen.name != line.name:
            self._refuse(line, "name", "another name is on file for this social_security_number")
        elif owner_of_card is not None and (citizen is None or citizen.id != owner_of_card):
            self._refuse(line, "card_number", "is the card of somebody else")
        elif owner_of_card is not None:
            self.already += 1
        elif self._phone_fits(keyed, citizen) and self._state_fits(line, citizen):
            self._add(keyed, citizen)

    def _phone_fits(self, keyed: KeyedLine, citizen: _Citizen | None) -> bool:
        owner = _first(self.owners, keyed.phone)
        if owner is not None and (citizen is None or citizen.id != owner):
            self._refuse(keyed.line, "phone", "is the phone of somebody else")
            return False
        on_file = citizen.phone_index if citizen else None
        if keyed.phone and on_file is not None and on_file not in keyed.phone:
            self._refuse(keyed.line, "phone", "another phone is on file for this citizen")
            return False
        return True

    def _state_fits(self, line: CardLine, citizen: _Citizen | None) -> bool:
        if citizen is None or not citizen.in_use or line.state not in IN_USE:
            return True
        self._refuse(line, "state", "the citizen has another card that is active or can be again")
        return False

    def _add(self, keyed: KeyedLine, citizen: _Citizen | None) -> None:
        line = keyed.line
        if citizen is None:
            citizen = _Citizen(new_id(self.now), line.name, None, new=keyed)
            self.citizens[keyed.number[0]] = citizen
        if line.phone and citizen.phone_index is None:
            citizen.new_phone, citizen.phone_index = line.phone, keyed.phone[0]
            self.owners[keyed.phone[0]] = citizen.id
        citizen.in_use = citizen.in_use or line.state in IN_USE
        self.cards[line.region_code, keyed.card[0]] = citizen.id
        self.adds.append((keyed, citizen))

    def _refuse(self, line: CardLine, column: str, reason: str) -> None:
        self.bad.append(BadLine(line.line, column, reason))


async def write_batch(
    db: Transaction, vault: Vault, seals: Seals, now: Instant, lines: Sequence[KeyedLine]
) -> Written:
    plan = await _look_up(db, vault, now, lines)
    for keyed in lines:
        plan.add_line(keyed)
    changed = list({citizen.id: citizen for _, citizen in plan.adds}.values())
    await db.execute_many(
        _ADD_CITIZEN, [_citizen_row(vault, now, p, p.new) for p in changed if p.new is not None]
    )
    for citizen in changed:
        if citizen.new is None and citizen.new_phone is not None:
            await people.set_phone(db, vault, citizen.id, citizen.new_phone)
    rows = [_card_row(vault, now, keyed, citizen.id) for keyed, citizen in plan.adds]
    await db.execute_many(ADD_CARD, rows)
    await db.execute_many(
        ADD_ENTRY,
        [
            _audit_row(seals, now, citizen, row["id"])
            for row, (_, citizen) in zip(rows, plan.adds, strict=True)
        ],
    )
    await db.execute_many(
        MOVE_HEAD, [{"subject_id": p.id, "number": p.entry, "mac": p.mac} for p in changed]
    )
    return Written(len(rows), plan.already, plan.bad, rows[-1]["id"] if rows else 0)


async def _look_up(db: Reader, vault: Vault, now: Instant, lines: Sequence[KeyedLine]) -> _Plan:
    known = {}
    for row in await fetch_in(db, _CITIZENS, (i for keyed in lines for i in keyed.number)):
        known[bytes(row["social_security_number_index"])] = _Citizen(
            id=row["id"],
            name=vault.open(row["name"], "citizens.name", row["id"]),
            phone_index=row["phone_index"],
            entry=row["number"] or 0,
            mac=bytes(row["mac"] or b""),
        )
    states = {state.name: state.value for state in IN_USE}
    ids = (citizen.id for citizen in known.values())
    holders = {row["citizen_id"] for row in await fetch_in(db, _HOLDERS, ids, **states)}
    for citizen in known.values():
        citizen.in_use = citizen.id in holders
    phones = await fetch_in(db, _PHONES, (i for keyed in lines for i in keyed.phone))
    owners_of_cards = {}
    for region in {keyed.line.region_code for keyed in lines}:
        numbers = (i for keyed in lines if keyed.line.region_code == region for i in keyed.card)
        for row in await fetch_in(db, _CARDS, numbers, region=region):
            owners_of_cards[region, bytes(row["number_index"])] = row["citizen_id"]
    return _Plan(
        vault=vault,
        now=now,
        citizens=known,
        owners={bytes(row["phone_index"]): row["id"] for row in phones},
        cards=owners_of_cards,
    )


def _citizen_row(vault: Vault, now: Instant, citizen: _Citizen, keyed: KeyedLine) -> dict[str, Any]:
    """As `citizens.new_row`, with the indexes computed before."""
    number, phone = keyed.line.social_security_number, citizen.new_phone
    return {
        "id": citizen.id,
        "name": vault.seal(citizen.name, "citizens.name", citizen.id),
        SSN: vault.seal(number, f"citizens.{SSN}", citizen.id),
        f"{SSN}_index": keyed.number[0],
        PHONE: vault.seal(phone, f"citizens.{PHONE}", citizen.id) if phone else None,
        f"{PHONE}_index": citizen.phone_index,
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


def _audit_row(seals: Seals, now: Instant, citizen: _Citizen, card_id: int) -> dict[str, Any]:
    """The next entry of the citizen's audit chain, as `audit.record` writes it."""
    details = f'{{"card": {card_id}}}'
    before, citizen.entry = citizen.mac, citizen.entry + 1
    citizen.mac = seals.audit(
        citizen.id,
        citizen.entry,
        now,
        Action.IMPORTED,
        DONE,
        OPERATOR,
        0,
        details,
        before.hex(),
    )
    return {
        "subject_id": citizen.id,
        "number": citizen.entry,
        "at": now,
        "action": Action.IMPORTED.value,
        "result": DONE,
        "channel": OPERATOR,
        "session_id": 0,
        "details": details,
        "mac": citizen.mac,
    }


def _first(found: dict[Any, Any], keys: Iterable[Any]) -> Any:
    for key in keys:
        if key in found:
            return found[key]
    return None
