"""Citizens: the owners of cards, applications and sessions.

Names, numbers, phones and addresses are encrypted. A citizen is found by the claim of the social
security number or of the phone; a phone belongs to at most one citizen.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import (
    BigInteger,
    Column,
    FromClause,
    Label,
    LargeBinary,
    Table,
    bindparam,
    select,
    update,
)

from core.citizens import claims, heads
from core.citizens.claims import ClaimKind
from core.citizens.heads import Head, audit_heads_table
from core.crypto import Sealed, Vault
from core.db import Id, Query, Reader, Row, Writes, fetch_in, in_batch, insert_into, metadata
from core.kernel.clock import Instant
from core.kernel.ids import new_id
from core.kernel.refusals import CitizenDeceased, PhoneNotBound

citizens_table = Table(
    "citizens",
    metadata,
    Column("subject_id", Id, primary_key=True, autoincrement=False),
    Column("name", LargeBinary, nullable=False),
    Column("social_security_number", LargeBinary, nullable=False),
    Column("phone", LargeBinary),
    Column("phone_index", LargeBinary),
    Column("social_insurance_number", LargeBinary),
    Column("landline", LargeBinary),
    Column("registered_address", LargeBinary),
    Column("residential_address", LargeBinary),
    Column("residential_postal_code", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("deceased_at", BigInteger),
)

SSN = "social_security_number"
PHONE = "phone"
INSURANCE_NUMBER = "social_insurance_number"
CONTACT_COLUMNS = (
    "landline",
    "registered_address",
    "residential_address",
    "residential_postal_code",
)


def join_head(citizen: FromClause) -> FromClause:
    """Joins the head to a FROM clause that contains `citizens`."""
    return citizen.outerjoin(
        audit_heads_table, audit_heads_table.c.subject_id == citizens_table.c.subject_id
    )


def columns(prefix: str) -> list[Label[Any]]:
    """The columns for `Citizen.from_row`."""
    names = ("subject_id", "name", SSN, PHONE, "phone_index", INSURANCE_NUMBER, "deceased_at")
    return [citizens_table.c[name].label(prefix + name) for name in names]


_OF_SUBJECT = Query(
    select(citizens_table).where(citizens_table.c.subject_id == bindparam("subject_id"))
)
WITH_HEAD_COLUMNS = (*columns(""), *heads.columns())
WITH_HEAD = Query(
    select(*WITH_HEAD_COLUMNS)
    .select_from(join_head(citizens_table))
    .where(citizens_table.c.subject_id == bindparam("citizen_id"))
)
_WITH_HEADS = Query(
    select(*WITH_HEAD_COLUMNS)
    .select_from(join_head(citizens_table))
    .where(in_batch(citizens_table.c.subject_id))
    .order_by(citizens_table.c.subject_id)
)
ADD_CITIZEN = insert_into(
    citizens_table,
    "subject_id",
    "name",
    SSN,
    PHONE,
    "phone_index",
    INSURANCE_NUMBER,
    "created_at",
)


@cache
def _change(columns: tuple[str, ...]) -> Query:
    """One statement for all columns: two would overwrite each other on PostgreSQL."""
    return Query(
        update(citizens_table)
        .where(citizens_table.c.subject_id == bindparam("of_subject"))
        .values({column: bindparam(f"new_{column}") for column in columns})
    )


class CitizenIdentity(Struct, frozen=True):
    """A citizen's identity, without contact data."""

    id: int
    name: Sealed
    social_security_number: Sealed


class Citizen(CitizenIdentity, frozen=True):
    """`deceased_at` is when a death was recorded here."""

    phone: Sealed | None
    phone_index: bytes | None
    social_insurance_number: Sealed | None
    deceased_at: Instant | None

    @classmethod
    def from_row(cls, row: Row, vault: Vault, prefix: str = "") -> "Citizen":
        owner: int = row[prefix + "subject_id"]
        phone, insurance_number = row[prefix + PHONE], row[prefix + INSURANCE_NUMBER]
        return cls(
            id=owner,
            name=Sealed(vault, row[prefix + "name"], "citizens.name", owner),
            social_security_number=Sealed(vault, row[prefix + SSN], f"citizens.{SSN}", owner),
            phone=None if phone is None else Sealed(vault, phone, f"citizens.{PHONE}", owner),
            phone_index=row[prefix + "phone_index"],
            social_insurance_number=None
            if insurance_number is None
            else Sealed(vault, insurance_number, f"citizens.{INSURANCE_NUMBER}", owner),
            deceased_at=row[prefix + "deceased_at"],
        )

    def must_be_alive(self) -> None:
        if self.deceased_at is not None:
            raise CitizenDeceased

    def has_phone(self, phone: str, vault: Vault) -> bool:
        return self.phone_index in vault.indexes(phone, PHONE)

    def must_have_phone(self, phone: str, vault: Vault) -> None:
        if not self.has_phone(phone, vault):
            raise PhoneNotBound(field="phone")


def identity_of(row: Row, vault: Vault, prefix: str) -> CitizenIdentity:
    owner: int = row[prefix + "subject_id"]
    return CitizenIdentity(
        id=owner,
        name=Sealed(vault, row[prefix + "name"], "citizens.name", owner),
        social_security_number=Sealed(vault, row[prefix + SSN], f"citizens.{SSN}", owner),
    )


def identity_columns(prefix: str) -> list[Label[Any]]:
    """The columns for `identity_of`."""
    return [citizens_table.c[name].label(prefix + name) for name in ("subject_id", "name", SSN)]


async def get(db: Reader, vault: Vault, citizen_id: int) -> Citizen:
    """The citizen of an id that a row or a session holds; citizens are never deleted."""
    row = await db.fetch_one(_OF_SUBJECT, subject_id=citizen_id)
    if row is None:
        raise LookupError(f"no citizen {citizen_id}")
    return Citizen.from_row(row, vault)


async def find_with_head(db: Reader, vault: Vault, citizen_id: int) -> tuple[Citizen, Head]:
    """As `get`, with the version of all data of the citizen."""
    found = await find(db, vault, citizen_id)
    if found is None:
        raise LookupError(f"no citizen {citizen_id}")
    return found


async def find(db: Reader, vault: Vault, citizen_id: int) -> tuple[Citizen, Head] | None:
    row = await db.fetch_one(WITH_HEAD, citizen_id=citizen_id)
    return None if row is None else (Citizen.from_row(row, vault), heads.head_from(row))


async def find_many(
    db: Reader, vault: Vault, ids: Iterable[int]
) -> dict[int, tuple[Citizen, Head]]:
    """As `find_with_head` for several citizens, in order of id."""
    rows = await fetch_in(db, _WITH_HEADS, ids)
    return {row["subject_id"]: (Citizen.from_row(row, vault), heads.head_from(row)) for row in rows}


async def ids_of_numbers(db: Reader, vault: Vault, numbers: Iterable[str]) -> dict[str, int]:
    """Citizen ids by social security number; unknown numbers are left out."""
    indexes = {index: number for number in numbers for index in vault.indexes(number, SSN)}
    found = await claims.owners(db, ClaimKind.SOCIAL_SECURITY_NUMBER, indexes)
    return {indexes[index]: citizen_id for index, citizen_id in found.items()}


async def id_of_number(db: Reader, vault: Vault, number: str) -> int | None:
    keys = vault.indexes(number, SSN)
    return await claims.owner(db, ClaimKind.SOCIAL_SECURITY_NUMBER, keys)


async def find_by_number(db: Reader, vault: Vault, number: str) -> Citizen | None:
    citizen_id = await id_of_number(db, vault, number)
    return None if citizen_id is None else await get(db, vault, citizen_id)


async def owner_of_phone(db: Reader, vault: Vault, phone: str) -> int | None:
    return await claims.owner(db, ClaimKind.PHONE, vault.indexes(phone, PHONE))


def register(
    writes: Writes,
    vault: Vault,
    now: Instant,
    *,
    name: str,
    number: str,
    phone: str | None,
    citizen_id: int | None = None,
) -> Citizen:
    """Adds a citizen, with the claims of the number and the phone."""
    row = new_row(vault, now, citizen_id or new_id(now), name, number, phone)
    owner = row["subject_id"]
    writes.add(ADD_CITIZEN, **row)
    claims.take(writes, ClaimKind.SOCIAL_SECURITY_NUMBER, vault.index(number, SSN), owner, now)
    if row["phone_index"] is not None:
        claims.take(writes, ClaimKind.PHONE, row["phone_index"], owner, now)
    return Citizen.from_row({**row, "deceased_at": None}, vault)


def new_row(
    vault: Vault, now: Instant, citizen_id: int, name: str, number: str, phone: str | None
) -> dict[str, Any]:
    return {
        "subject_id": citizen_id,
        "name": vault.seal(name, "citizens.name", citizen_id),
        SSN: vault.seal(number, f"citizens.{SSN}", citizen_id),
        PHONE: vault.seal(phone, f"citizens.{PHONE}", citizen_id) if phone else None,
        "phone_index": vault.index(phone, PHONE) if phone else None,
        INSURANCE_NUMBER: None,
        "created_at": now,
    }


def record_death(writes: Writes, citizen_id: int, at: Instant | None) -> None:
    """None corrects a record that was wrong."""
    writes.add(_change(("deceased_at",)), of_subject=citizen_id, new_deceased_at=at)


def change(
    writes: Writes, vault: Vault, now: Instant, citizen: Citizen, values: Mapping[str, str]
) -> Citizen:
    """Changes the given columns, the phone with its claim. Returns the citizen as it is then."""
    changed: dict[str, Any] = {
        column: vault.seal(value, f"citizens.{column}", citizen.id)
        for column, value in values.items()
    }
    if PHONE in values:
        changed["phone_index"] = vault.index(values[PHONE], PHONE)
        if citizen.phone is not None:
            before = vault.indexes(citizen.phone.reveal(), PHONE)
            claims.release(writes, ClaimKind.PHONE, before, citizen.id)
        claims.take(writes, ClaimKind.PHONE, changed["phone_index"], citizen.id, now)
    new = {f"new_{column}": value for column, value in changed.items()}
    writes.add(_change(tuple(changed)), of_subject=citizen.id, **new)
    return replace(
        citizen,
        **{
            column: Sealed(vault, changed[column], f"citizens.{column}", citizen.id)
            for column in (PHONE, INSURANCE_NUMBER)
            if column in changed
        },
        phone_index=changed.get("phone_index", citizen.phone_index),
    )
