"""Imports one batch of lines: finds new, existing and conflicting cards, and writes the new ones.

Reads and writes in one transaction. A new citizen is added once, however many of their cards the batch
contains.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import bindparam, or_, select, update

from core.audit import ADD_ENTRY, DONE, MOVE_HEAD, OPERATOR, Action
from core.cards import ADD_CARD, NUMBER, CardState, cards_table
from core.citizens import (
    ADD_CITIZEN,
    INSURANCE_NUMBER,
    PHONE,
    SSN,
    ClaimKind,
    citizens_table,
    claims,
)
from core.citizens import citizens as people
from core.crypto import Seals, Vault
from core.db import Query, Reader, Transaction, fetch_in, in_batch
from core.imports.lines import BadLine, CardLine
from core.kernel.clock import Instant
from core.kernel.confirmation import Confirmation
from core.kernel.ids import new_id
from core.reference import is_same_name

Indexes: TypeAlias = Sequence[bytes]

IN_USE = frozenset({CardState.ACTIVE, CardState.LOST, CardState.LOCKED, CardState.TEMPORARILY_LOST})
"""States of a card that is active or can become active again; a citizen has at most one such card."""

_HOLDERS = Query(
    select(cards_table.c.subject_id).where(
        in_batch(cards_table.c.subject_id),
        or_(*(cards_table.c.state == state.value for state in sorted(IN_USE))),
    )
)
_SET_PHONE = Query(
    update(citizens_table)
    .where(citizens_table.c.subject_id == bindparam("of_subject"))
    .values(phone=bindparam("new_phone"), phone_index=bindparam("new_index"))
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
    def card_claims(self) -> list[bytes]:
        return claims.card_keys(self.line.region_code, self.card)

    @property
    def card_key(self) -> bytes:
        """Identifies the card in the journal, across regions."""
        return self.line.region_code.encode() + self.card[0][-16:]


@dataclass(frozen=True, slots=True)
class Written:
    """`last_card` are citizen and id of the last card that was added, zeros if none was."""

    added: int
    already: int
    bad: list[BadLine]
    last_card: tuple[int, int]


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
    cards: dict[bytes, int]
    adds: list[tuple[KeyedLine, _Citizen]] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    already: int = 0

    def add_line(self, keyed: KeyedLine) -> None:
        line = keyed.line
        citizen = _first(self.citizens, keyed.number)
        owner_of_card = _first(self.cards, keyed.card_claims)
        if citizen is not None and not is_same_name(citizen.name, line.name):
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
        self.cards[keyed.card_claims[0]] = citizen.id
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
        ADD_CITIZEN, [_citizen_row(vault, now, p, p.new) for p in changed if p.new is not None]
    )
    await db.execute_many(
        _SET_PHONE,
        [
            {
                "of_subject": p.id,
                "new_phone": vault.seal(p.new_phone, f"citizens.{PHONE}", p.id),
                "new_index": p.phone_index,
            }
            for p in changed
            if p.new is None and p.new_phone is not None
        ],
    )
    rows = [_card_row(vault, now, keyed, citizen.id) for keyed, citizen in plan.adds]
    await db.execute_many(ADD_CARD, rows)
    await db.execute_many(claims.TAKE, [*_claims(now, changed), *_card_claims(now, rows)])
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
    last_card = (rows[-1]["subject_id"], rows[-1]["id"]) if rows else (0, 0)
    return Written(len(rows), plan.already, plan.bad, last_card)


async def _look_up(db: Reader, vault: Vault, now: Instant, lines: Sequence[KeyedLine]) -> _Plan:
    """Without locks: whoever changes one of these citizens meanwhile takes the next number of the
    audit chain, and the batch is written again."""
    numbers = (index for keyed in lines for index in keyed.number)
    ids = await claims.owners(db, ClaimKind.SOCIAL_SECURITY_NUMBER, numbers)
    known = {}
    stored = await people.find_many(db, vault, sorted(set(ids.values())))
    holders = {row["subject_id"] for row in await fetch_in(db, _HOLDERS, stored)}
    for index, citizen_id in ids.items():
        citizen, head = stored[citizen_id]
        known[index] = _Citizen(
            id=citizen_id,
            name=citizen.name.reveal(),
            phone_index=citizen.phone_index,
            entry=head.number,
            mac=head.mac,
            in_use=citizen_id in holders,
        )
    phones = (index for keyed in lines for index in keyed.phone)
    card_keys = (key for keyed in lines for key in keyed.card_claims)
    return _Plan(
        vault=vault,
        now=now,
        citizens=known,
        owners=await claims.owners(db, ClaimKind.PHONE, phones),
        cards=await claims.owners(db, ClaimKind.CARD, card_keys),
    )


def _claims(now: Instant, citizens: Iterable[_Citizen]) -> Iterator[Mapping[str, Any]]:
    for citizen in citizens:
        if citizen.new is not None:
            number = citizen.new.number[0]
            yield claims.row(ClaimKind.SOCIAL_SECURITY_NUMBER, number, citizen.id, now)
        if citizen.new_phone is not None and citizen.phone_index is not None:
            yield claims.row(ClaimKind.PHONE, citizen.phone_index, citizen.id, now)


def _card_claims(now: Instant, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        key = claims.card_keys(row["region_code"], [row["number_index"]])[0]
        yield claims.row(ClaimKind.CARD, key, row["subject_id"], now)


def _citizen_row(vault: Vault, now: Instant, citizen: _Citizen, keyed: KeyedLine) -> dict[str, Any]:
    """As `citizens.new_row`, with the indexes computed before."""
    number, phone = keyed.line.social_security_number, citizen.new_phone
    return {
        "subject_id": citizen.id,
        "name": vault.seal(citizen.name, "citizens.name", citizen.id),
        SSN: vault.seal(number, f"citizens.{SSN}", citizen.id),
        PHONE: vault.seal(phone, f"citizens.{PHONE}", citizen.id) if phone else None,
        f"{PHONE}_index": citizen.phone_index,
        INSURANCE_NUMBER: None,
        "created_at": now,
    }


def _card_row(vault: Vault, now: Instant, keyed: KeyedLine, citizen_id: int) -> dict[str, Any]:
    line, card_id = keyed.line, new_id(now)
    return {
        "subject_id": citizen_id,
        "id": card_id,
        "number": vault.seal(line.card_number, "cards.number", card_id),
        "number_index": keyed.card[0],
        "region_code": line.region_code,
        "bank_code": line.bank_code,
        "batch_number": line.batch_number,
        "issue_date": line.issue_date,
        "state": line.state.value,
        "state_since": now,
        "state_before": None,
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
