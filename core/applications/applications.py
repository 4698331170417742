"""An application: a citizen's request for a first card or a reissue.

It is open from its acceptance until the resulting card is activated or the request is rejected.
A citizen has at most one open application.
"""

import secrets
from enum import StrEnum
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Label,
    LargeBinary,
    String,
    Table,
    bindparam,
    text,
    update,
)

from core.crypto import Vault
from core.db import Id, Query, Row, Transaction, insert_into, metadata
from core.kernel.clock import Instant, china_date
from core.kernel.ids import new_id

applications_table = Table(
    "applications",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("citizen_id", BigInteger, ForeignKey("citizens.id"), nullable=False),
    Column("number", String(24), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("old_card_id", BigInteger, ForeignKey("cards.id")),
    Column("form", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Index("uq_applications_number", "number", unique=True),
    Index(
        "uq_applications_one_open",
        "citizen_id",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)


class ApplicationKind(StrEnum):
    APPLY = "APPLY"
    REISSUE = "REISSUE"


_INSERT = insert_into(applications_table)
_CLOSE = Query(
    update(applications_table)
    .where(
        applications_table.c.citizen_id == bindparam("owner"),
        applications_table.c.closed_at.is_(None),
    )
    .values(closed_at=bindparam("at"))
)


class Application(Struct, frozen=True):
    id: int
    number: str
    kind: ApplicationKind
    old_card_id: int | None
    created_at: Instant

    @classmethod
    def from_row(cls, row: Row, prefix: str = "") -> "Application":
        return cls(
            id=row[prefix + "id"],
            number=row[prefix + "number"],
            kind=ApplicationKind(row[prefix + "kind"]),
            old_card_id=row[prefix + "old_card_id"],
            created_at=row[prefix + "created_at"],
        )


def application_columns(prefix: str) -> list[Label[Any]]:
    """The columns for `Application.from_row`."""
    names = ("id", "number", "kind", "old_card_id", "created_at")
    return [applications_table.c[name].label(prefix + name) for name in names]


async def accept(
    db: Transaction,
    vault: Vault,
    now: Instant,
    *,
    citizen_id: int,
    kind: ApplicationKind,
    form: str,
    old_card_id: int | None = None,
    number: str | None = None,
) -> Application:
    """Inserts an open application. `form` is JSON and is encrypted; `number` is generated if None."""
    application_id = new_id(now)
    number = number or _new_number(now)
    await db.fetch(
        _INSERT,
        id=application_id,
        citizen_id=citizen_id,
        number=number,
        kind=kind.value,
        old_card_id=old_card_id,
        form=vault.seal(form, "applications.form", application_id),
        created_at=now,
        closed_at=None,
    )
    return Application(application_id, number, kind, old_card_id, now)


async def close(db: Transaction, citizen_id: int, now: Instant) -> None:
    await db.fetch(_CLOSE, owner=citizen_id, at=now)


def _new_number(now: Instant) -> str:
    """`SBK`, the date in China, and ten random digits: numbers cannot be enumerated."""
    return f"SBK{china_date(now):%Y%m%d}{secrets.randbelow(10**10):010d}"
