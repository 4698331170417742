"""Citizens: the owners of cards, applications and sessions.

Names, numbers, phones and addresses are encrypted; the social security number and the phone are
searchable by blind index. A phone belongs to at most one citizen.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    Label,
    LargeBinary,
    Table,
    bindparam,
    select,
    update,
)

from core.crypto import Sealed, Vault, index_is, index_params
from core.db import (
    Id,
    Lock,
    Query,
    Reader,
    Row,
    Transaction,
    fetch_in,
    in_batch,
    insert_into,
    metadata,
)
from core.kernel.clock import Instant
from core.kernel.ids import new_id
from core.kernel.refusals import PhoneNotBound

citizens_table = Table(
    "citizens",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("name", LargeBinary, nullable=False),
    Column("social_security_number", LargeBinary, nullable=False),
    Column("social_security_number_index", LargeBinary, nullable=False),
    Column("phone", LargeBinary),
    Column("phone_index", LargeBinary),
    Column("social_insurance_number", LargeBinary),
    Column("landline", LargeBinary),
    Column("registered_address", LargeBinary),
    Column("residential_address", LargeBinary),
    Column("residential_postal_code", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Index("uq_citizens_social_security_number_index", "social_security_number_index", unique=True),
    Index("uq_citizens_phone_index", "phone_index", unique=True),
)

SSN = "social_security_number"
PHONE = "phone"
INSURANCE_NUMBER = "social_insurance_number"

_LOCK = Lock(
    select(citizens_table.c.id).where(citizens_table.c.id == bindparam("id")).with_for_update()
)
_LOCK_MANY = Query(
    select(citizens_table)
    .where(in_batch(citizens_table.c.id))
    .order_by(citizens_table.c.id)
    .with_for_update()
)
_NUMBERS = Query(
    select(citizens_table.c.id, citizens_table.c.social_security_number_index).where(
        in_batch(citizens_table.c.social_security_number_index)
    )
)
_BY_ID = Query(select(citizens_table).where(citizens_table.c.id == bindparam("id")))
_BY_SSN = Query(
    select(citizens_table).where(
        index_is(citizens_table.c.social_security_number_index, "ssn_index")
    )
)
_OWNER_OF_PHONE = Query(
    select(citizens_table.c.id).where(index_is(citizens_table.c.phone_index, "phone_index"))
)
_INSERT = insert_into(
    citizens_table,
    "id",
    "name",
    "social_security_number",
    "social_security_number_index",
    "phone",
    "phone_index",
    "created_at",
    "version",
)
_SET_PHONE = Query(
    update(citizens_table)
    .where(citizens_table.c.id == bindparam("citizen_id"))
    .values(
        phone=bindparam("phone"),
        phone_index=bindparam("phone_index"),
        version=citizens_table.c.version + 1,
    )
)
CONTACT_COLUMNS = (
    "landline",
    "registered_address",
    "residential_address",
    "residential_postal_code",
)
_SET_DETAIL = {
    column: Query(
        update(citizens_table)
        .where(citizens_table.c.id == bindparam("citizen_id"))
        .values({column: bindparam("value"), "version": citizens_table.c.version + 1})
    )
    for column in (*CONTACT_COLUMNS, INSURANCE_NUMBER)
}


class CitizenIdentity(Struct, frozen=True):
    """A citizen's identity, without contact data."""

    id: int
    name: Sealed
    social_security_number: Sealed


class Citizen(CitizenIdentity, frozen=True):
    phone: Sealed | None
    phone_index: bytes | None
    social_insurance_number: Sealed | None
    version: int

    @classmethod
    def from_row(cls, row: Row, vault: Vault, prefix: str = "") -> "Citizen":
        owner: int = row[prefix + "id"]
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
            version=row[prefix + "version"],
        )

    def has_phone(self, phone: str, vault: Vault) -> bool:
        return self.phone_index in vault.indexes(phone, PHONE)

    def must_have_phone(self, phone: str, vault: Vault) -> None:
        if not self.has_phone(phone, vault):
            raise PhoneNotBound(field="phone")


def identity_of(row: Row, vault: Vault, prefix: str) -> CitizenIdentity:
    owner: int = row[prefix + "id"]
    return CitizenIdentity(
        id=owner,
        name=Sealed(vault, row[prefix + "name"], "citizens.name", owner),
        social_security_number=Sealed(vault, row[prefix + SSN], f"citizens.{SSN}", owner),
    )


def identity_columns(prefix: str) -> list[Label[Any]]:
    """The columns for `identity_of`."""
    return [citizens_table.c[name].label(prefix + name) for name in ("id", "name", SSN)]


def columns(prefix: str) -> list[Label[Any]]:
    """The columns for `Citizen.from_row`."""
    names = ("id", "name", SSN, PHONE, "phone_index", INSURANCE_NUMBER, "version")
    return [citizens_table.c[name].label(prefix + name) for name in names]


async def lock(db: Transaction, citizen_id: int) -> None:
    """Locks the citizen's row. Every write to a citizen's data does this first, which serialises them."""
    await db.fetch(_LOCK, id=citizen_id)


async def lock_many(db: Transaction, vault: Vault, ids: Sequence[int]) -> dict[int, Citizen]:
    """As `lock` for several citizens, in order of id to avoid deadlocks."""
    rows = await fetch_in(db, _LOCK_MANY, ids)
    return {row["id"]: Citizen.from_row(row, vault) for row in rows}


async def ids_of_numbers(db: Reader, vault: Vault, numbers: Iterable[str]) -> dict[str, int]:
    """Citizen ids by social security number; unknown numbers are left out."""
    indexes = {index: number for number in numbers for index in vault.indexes(number, SSN)}
    rows = await fetch_in(db, _NUMBERS, indexes)
    return {indexes[bytes(row["social_security_number_index"])]: row["id"] for row in rows}


async def get(db: Reader, vault: Vault, citizen_id: int) -> Citizen:
    """The citizen of an id that a row or a session holds; citizens are never deleted."""
    row = await db.fetch_one(_BY_ID, id=citizen_id)
    if row is None:
        raise LookupError(f"no citizen {citizen_id}")
    return Citizen.from_row(row, vault)


async def find_by_number(db: Reader, vault: Vault, number: str) -> Citizen | None:
    row = await db.fetch_one(_BY_SSN, **index_params("ssn_index", vault.indexes(number, SSN)))
    return None if row is None else Citizen.from_row(row, vault)


async def owner_of_phone(db: Reader, vault: Vault, phone: str) -> int | None:
    row = await db.fetch_one(
        _OWNER_OF_PHONE, **index_params("phone_index", vault.indexes(phone, PHONE))
    )
    return None if row is None else int(row["id"])


async def register(
    db: Transaction,
    vault: Vault,
    now: Instant,
    *,
    name: str,
    number: str,
    phone: str | None,
    citizen_id: int | None = None,
) -> int:
    """Inserts a citizen and returns the id."""
    citizen_id = citizen_id or new_id(now)
    await db.fetch(_INSERT, **new_row(vault, now, citizen_id, name, number, phone))
    return citizen_id


def new_row(
    vault: Vault, now: Instant, citizen_id: int, name: str, number: str, phone: str | None
) -> Mapping[str, Any]:
    return {
        "id": citizen_id,
        "name": vault.seal(name, "citizens.name", citizen_id),
        "social_security_number": vault.seal(number, f"citizens.{SSN}", citizen_id),
        "social_security_number_index": vault.index(number, SSN),
        "phone": vault.seal(phone, f"citizens.{PHONE}", citizen_id) if phone else None,
        "phone_index": vault.index(phone, PHONE) if phone else None,
        "created_at": now,
        "version": 1,
    }


async def set_phone(db: Transaction, vault: Vault, citizen_id: int, phone: str) -> None:
    await db.fetch(
        _SET_PHONE,
        citizen_id=citizen_id,
        phone=vault.seal(phone, f"citizens.{PHONE}", citizen_id),
        phone_index=vault.index(phone, PHONE),
    )


async def set_detail(
    db: Transaction, vault: Vault, citizen_id: int, column: str, value: str
) -> None:
    await db.fetch(
        _SET_DETAIL[column],
        citizen_id=citizen_id,
        value=vault.seal(value, f"citizens.{column}", citizen_id),
    )
