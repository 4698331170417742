"""Consent to the processing of personal data: version of the privacy notice, and time."""

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table, bindparam, select

from core.db import Query, Reader, Writes, metadata
from core.kernel import lengths
from core.kernel.clock import Instant

consents_table = Table(
    "consents",
    metadata,
    Column(
        "subject_id",
        BigInteger,
        ForeignKey("citizens.subject_id"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("notice_version", String(lengths.NOTICE_VERSION), primary_key=True),
    Column("given_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_GIVE = Query(
    lambda insert: (
        insert(consents_table)
        .values(
            subject_id=bindparam("subject_id"),
            notice_version=bindparam("version"),
            given_at=bindparam("at"),
        )
        .on_conflict_do_nothing(index_elements=["subject_id", "notice_version"])
    )
)


_GIVEN = Query(
    select(consents_table.c.given_at).where(
        consents_table.c.subject_id == bindparam("subject_id"),
        consents_table.c.notice_version == bindparam("version"),
    )
)


async def given_at(db: Reader, citizen_id: int, version: str) -> Instant | None:
    row = await db.fetch_one(_GIVEN, subject_id=citizen_id, version=version)
    return None if row is None else int(row["given_at"])


def give(writes: Writes, citizen_id: int, version: str, now: Instant) -> None:
    """Consenting again to the same version keeps the first time."""
    writes.add(_GIVE, subject_id=citizen_id, version=version, at=now)
