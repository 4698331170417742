"""Key rotation of claims: their keys are blind indexes, computed anew from the rows of their subjects."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    String,
    and_,
    bindparam,
    func,
    or_,
    select,
    tuple_,
)

from core.cards import NUMBER, cards
from core.citizens import PHONE, SSN, ClaimKind, bindings, citizens, claims, claims_table
from core.crypto import CannotOpen, Vault, account_indexes, open_account
from core.db import Database, LostRace, Query, Reader, Writes
from core.kernel.clock import Instant
from core.keys.plans import differs

FIRST = (b"", "")
"""Before all claims, in the order of `Claim.place`."""
_TRIES = 3
_THIS = Query(
    select(claims_table.c.subject_id).where(
        claims_table.c.key == bindparam("of_key"), claims_table.c.kind == bindparam("of_kind")
    )
)


@dataclass(frozen=True, slots=True)
class Claim:
    key: bytes = field(repr=False)
    kind: ClaimKind
    subject_id: int
    at: Instant

    @property
    def place(self) -> tuple[bytes, str]:
        return self.key, self.kind.value


async def count_stale(db: Reader, vault: Vault) -> int:
    row = await db.fetch_one(
        Query(select(func.count().label("rows")).select_from(claims_table).where(_is_stale(vault)))
    )
    return row["rows"] if row else 0


async def stale(db: Reader, vault: Vault, after: tuple[bytes, str], limit: int) -> list[Claim]:
    """The next claims whose keys are under an older key, in the order of their places."""
    following = tuple_(claims_table.c.key, claims_table.c.kind) > tuple_(
        bindparam("after_key", type_=LargeBinary), bindparam("after_kind", type_=String)
    )
    query = Query(
        select(claims_table)
        .where(_is_stale(vault), following)
        .order_by(claims_table.c.key, claims_table.c.kind)
        .limit(limit)
    )
    return [
        Claim(bytes(row["key"]), ClaimKind(row["kind"]), row["subject_id"], row["at"])
        for row in await db.fetch(query, after_key=after[0], after_kind=after[1])
    ]


class CannotRenew(Exception):
    """The claim's subject has no such value, or somebody else has the claim under the current key."""


async def renew(database: Database, vault: Vault, claim: Claim) -> bool:
    """Gives the claim its key under the current index key. False if it was given up meanwhile.

    Raises `CannotRenew`.
    """
    for _ in range(_TRIES):
        if await _renew(database, vault, claim):
            return True
        row = await database.fetch_one(_THIS, of_key=claim.key, of_kind=claim.kind.value)
        if row is None or row["subject_id"] != claim.subject_id:
            return False
    raise CannotRenew


async def _renew(database: Database, vault: Vault, claim: Claim) -> bool:
    """False also if others change the same values at this moment."""
    try:
        candidates = await _VALUES[claim.kind](database, vault, claim.subject_id)
    except (CannotOpen, LookupError):
        return False
    new = next((keys[0] for keys in candidates if claim.key in keys), None)
    if new is None:
        return False
    writes = Writes()
    claims.release(writes, claim.kind, [claim.key], claim.subject_id)
    claims.take(writes, claim.kind, new, claim.subject_id, claim.at)
    try:
        await database.apply(writes)
    except LostRace:
        return False
    return True


def _is_stale(vault: Vault) -> ColumnElement[bool]:
    return and_(
        or_(*(claims_table.c.kind == kind.value for kind in _VALUES)),
        differs(claims_table.c.key, vault.index_prefix),
    )


async def _numbers(db: Reader, vault: Vault, subject_id: int) -> list[list[bytes]]:
    citizen = await citizens.get(db, vault, subject_id)
    return [vault.indexes(citizen.social_security_number.reveal(), SSN)]


async def _phones(db: Reader, vault: Vault, subject_id: int) -> list[list[bytes]]:
    citizen = await citizens.get(db, vault, subject_id)
    return [] if citizen.phone is None else [vault.indexes(citizen.phone.reveal(), PHONE)]


async def _cards(db: Reader, vault: Vault, subject_id: int) -> list[list[bytes]]:
    found = await cards.of_citizens(db, vault, [subject_id])
    return [
        claims.card_keys(card.region_code, vault.indexes(card.number.reveal(), NUMBER))
        for card in found.get(subject_id, ())
    ]


async def _accounts(db: Reader, vault: Vault, subject_id: int) -> list[list[bytes]]:
    return [
        account_indexes(vault, binding.channel, open_account(vault, binding.account))
        for binding in await bindings.of_citizen(db, subject_id)
    ]


_VALUES: dict[ClaimKind, Callable[[Reader, Vault, int], Awaitable[list[list[bytes]]]]] = {
    ClaimKind.SOCIAL_SECURITY_NUMBER: _numbers,
    ClaimKind.PHONE: _phones,
    ClaimKind.CARD: _cards,
    ClaimKind.ACCOUNT: _accounts,
}
"""The values of a subject that a claim may stand for, each as its indexes under each key in use."""
