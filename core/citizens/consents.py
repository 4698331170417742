"""Consent to the processing of personal data: version of the privacy notice, and time."""

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table, bindparam, select

from core.db import Id, Query, Reader, Transaction, metadata
from core.kernel import lengths
from core.kernel.clock import Instant

consents_table = Table(
    "consents",
    metadata,
    Column("citizen_id", Id, ForeignKey("citizens.id"), primary_key=True, autoincrement=False),
    Column("notice_version", String(lengths.NOTICE_VERSION), primary_key=True),
    Column("given_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_GIVE = Query(
    lambda insert: (
        insert(consents_table)
        .values(
            citizen_id=bindparam("citizen_id"),
            notice_version=bindparam("version"),
            given_at=bindparam("at"),
        )
        .on_conflict_do_nothing(index_elements=["citizen_id", "notice_version"])
    )
)


_GIVEN = Query(
    select(consents_table.c.given_at).where(
        consents_table.c.citizen_id == bindparam("citizen_id"),
        consents_table.c.notice_version == bindparam("version"),
    )
)


async def given_at(db: Reader, citizen_id: int, version: str) -> Instant | None:
    row = await db.fetch_one(_GIVEN, citizen_id=citizen_id, version=version)
    return None if row is None else int(row["given_at"])


async def give(db: Transaction, citizen_id: int, version: str, now: Instant) -> None:
    """Consenting again to the same version keeps the first time."""
    await db.fetch(_GIVE, citizen_id=citizen_id, version=version, at=now)
