"""An application: a citizen's request for a first card or a reissue.

It is open from its acceptance until the resulting card is activated or the request is rejected.
A citizen has at most one open application.
"""

import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from msgspec import Struct
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
    select,
    text,
    update,
)

from core.citizens import ClaimKind, claims
from core.crypto import Vault
from core.db import Query, Reader, Row, Writes, insert_into, metadata
from core.kernel.clock import Instant, china_date
from core.kernel.ids import new_id

applications_table = Table(
    "applications",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", String(24), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("old_card_id", BigInteger),
    Column("new_card_id", BigInteger),
    Column("form", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    ForeignKeyConstraint(
        ["subject_id"], ["citizens.subject_id"], name="fk_applications_subject_id"
    ),
    ForeignKeyConstraint(
        ["subject_id", "old_card_id"],
        ["cards.subject_id", "cards.id"],
        name="fk_applications_old_card_id",
    ),
    ForeignKeyConstraint(
        ["subject_id", "new_card_id"],
        ["cards.subject_id", "cards.id"],
        name="fk_applications_new_card_id",
    ),
    Index(
        "uq_applications_one_open",
        "subject_id",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    sqlite_with_rowid=False,
)


class ApplicationKind(StrEnum):
    APPLY = "APPLY"
    REISSUE = "REISSUE"


_INSERT = insert_into(applications_table)
_LAST_FOR_FIRST_CARD = Query(
    select(applications_table.c.id, applications_table.c.closed_at)
    .where(
        applications_table.c.subject_id == bindparam("subject_id"),
        applications_table.c.kind == ApplicationKind.APPLY.value,
    )
    .order_by(applications_table.c.id.desc())
    .limit(1)
)
_CLOSE = Query(
    update(applications_table)
    .where(
        applications_table.c.subject_id == bindparam("of_subject"),
        applications_table.c.closed_at.is_(None),
    )
    .values(closed_at=bindparam("at"))
)

_CLOSE_ISSUED = Query(
    update(applications_table)
    .where(
        applications_table.c.subject_id == bindparam("of_subject"),
        applications_table.c.new_card_id == bindparam("card_id"),
        applications_table.c.closed_at.is_(None),
    )
    .values(closed_at=bindparam("at"))
)
_is_this = (
    applications_table.c.subject_id == bindparam("of_subject"),
    applications_table.c.id == bindparam("application_id"),
)
_ISSUE = Query(update(applications_table).where(*_is_this).values(new_card_id=bindparam("card_id")))
_FORM = Query(
    select(applications_table.c.form).where(
        applications_table.c.subject_id == bindparam("subject_id"),
        applications_table.c.id == bindparam("application_id"),
    )
)
_CHANGE_FORM = Query(update(applications_table).where(*_is_this).values(form=bindparam("new_form")))


class Application(Struct, frozen=True):
    """`old_card_id` is the card that a reissue replaces, `new_card_id` the one that was made."""

    id: int
    number: str
    kind: ApplicationKind
    old_card_id: int | None
    new_card_id: int | None
    created_at: Instant

    @classmethod
    def from_row(cls, row: Row, prefix: str = "") -> "Application":
        return cls(
            id=row[prefix + "id"],
            number=row[prefix + "number"],
            kind=ApplicationKind(row[prefix + "kind"]),
            old_card_id=row[prefix + "old_card_id"],
            new_card_id=row[prefix + "new_card_id"],
            created_at=row[prefix + "created_at"],
        )


def application_columns(prefix: str) -> list[Label[Any]]:
    """The columns for `Application.from_row`."""
    names = ("id", "number", "kind", "old_card_id", "new_card_id", "created_at")
    return [applications_table.c[name].label(prefix + name) for name in names]


def accept(
    writes: Writes,
    vault: Vault,
    now: Instant,
    *,
    citizen_id: int,
    kind: ApplicationKind,
    form: str,
    old_card_id: int | None = None,
    number: str | None = None,
) -> Application:
    """Adds an open application, with the claim of its number. `form` is JSON and is encrypted;
    `number` is generated if None."""
    application_id = new_id(now)
    number = number or _new_number(now)
    writes.add(
        _INSERT,
        subject_id=citizen_id,
        id=application_id,
        number=number,
        kind=kind.value,
        old_card_id=old_card_id,
        new_card_id=None,
        form=vault.seal(form, "applications.form", application_id),
        created_at=now,
        closed_at=None,
    )
    claims.take(writes, ClaimKind.APPLICATION, claims.text_key(number), citizen_id, now)
    return Application(application_id, number, kind, old_card_id, None, now)


class LastApplication(Struct, frozen=True):
    id: int
    is_open: bool


async def last_for_first_card(db: Reader, citizen_id: int) -> LastApplication | None:
    row = await db.fetch_one(_LAST_FOR_FIRST_CARD, subject_id=citizen_id)
    return None if row is None else LastApplication(row["id"], row["closed_at"] is None)


def issue(writes: Writes, citizen_id: int, application_id: int, card_id: int) -> None:
    """Notes the card that was made for an application."""
    writes.add(_ISSUE, of_subject=citizen_id, application_id=application_id, card_id=card_id)


async def form_of(db: Reader, vault: Vault, citizen_id: int, application_id: int) -> str:
    """The form as JSON."""
    row = await db.fetch_one(_FORM, subject_id=citizen_id, application_id=application_id)
    assert row is not None
    return vault.open(bytes(row["form"]), "applications.form", application_id)


def change_form(
    writes: Writes, vault: Vault, citizen_id: int, application_id: int, form: str
) -> None:
    sealed = vault.seal(form, "applications.form", application_id)
    writes.add(_CHANGE_FORM, of_subject=citizen_id, application_id=application_id, new_form=sealed)


def close(writes: Writes, citizen_id: int, now: Instant) -> None:
    writes.add(_CLOSE, of_subject=citizen_id, at=now)


def close_issued(writes: Writes, citizen_id: int, card_id: int, now: Instant) -> None:
    """Closes the application for which this card was made, if it is open."""
    writes.add(_CLOSE_ISSUED, of_subject=citizen_id, card_id=card_id, at=now)


async def owners_of_numbers(db: Reader, numbers: Iterable[str]) -> dict[str, int]:
    """Citizen ids by application number; unknown numbers are left out."""
    keys = {claims.text_key(number): number for number in numbers}
    found = await claims.owners(db, ClaimKind.APPLICATION, keys)
    return {keys[key]: citizen_id for key, citizen_id in found.items()}


def _new_number(now: Instant) -> str:
    """`SBK`, the date in China, and ten random digits: numbers cannot be enumerated. If one is taken
    already, so is its claim, and the application is accepted again with another."""
    return f"SBK{china_date(now):%Y%m%d}{secrets.randbelow(10**10):010d}"
