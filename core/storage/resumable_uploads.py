"""Resumable uploads: received in parts, each upload at its own URL.

A row holds owner, total size and bytes received; the parts are in object storage (`objects.py`).
Unused uploads are removed after a day (`core/jobs/garbage_collection.py`).
"""

from dataclasses import dataclass, field

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    Table,
    Text,
    and_,
    bindparam,
    select,
    update,
)

from core.db import Id, Query, Reader, Row, Transaction, insert_into, metadata
from core.kernel.clock import DAY, HOUR, Instant
from core.kernel.ids import new_id

OPEN_FOR = HOUR
"""How long the URL accepts parts."""
RETENTION = DAY
PART_BYTES = 524_288
"""Size of a stored part: a broken connection loses less than this."""

resumable_uploads_table = Table(
    "resumable_uploads",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("citizen_id", BigInteger, ForeignKey("citizens.id"), nullable=False),
    Column("size", Integer, nullable=False),
    Column("received", Integer, nullable=False),
    Column("parts", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

_INSERT = insert_into(resumable_uploads_table)
_FIND = Query(
    select(resumable_uploads_table).where(resumable_uploads_table.c.id == bindparam("upload_id"))
)
_ours = resumable_uploads_table.c.id == bindparam("upload_id")
_ADD_PART = Query(
    update(resumable_uploads_table)
    .where(and_(_ours, resumable_uploads_table.c.received == bindparam("offset")))
    .values(
        received=bindparam("offset") + bindparam("length"),
        parts=resumable_uploads_table.c.parts.concat(bindparam("part")).concat(" "),
    )
    .returning(*resumable_uploads_table.c)
)
_START_OVER = Query(update(resumable_uploads_table).where(_ours).values(received=0, parts=""))


@dataclass(frozen=True, slots=True)
class ResumableUpload:
    """`size` and `received` are bytes; `parts` are names of objects, in order."""

    id: int
    citizen_id: int
    size: int
    received: int
    parts: tuple[str, ...] = field(repr=False)
    expires_at: Instant

    @property
    def is_complete(self) -> bool:
        return self.received == self.size


async def open_upload(
    db: Transaction, now: Instant, *, citizen_id: int, size: int
) -> ResumableUpload:
    upload = ResumableUpload(new_id(now), citizen_id, size, 0, (), now + OPEN_FOR)
    await db.fetch(
        _INSERT,
        id=upload.id,
        citizen_id=citizen_id,
        size=size,
        received=0,
        parts="",
        expires_at=upload.expires_at,
    )
    return upload


async def find(db: Reader, upload_id: int) -> ResumableUpload | None:
    row = await db.fetch_one(_FIND, upload_id=upload_id)
    return None if row is None else _upload_from(row)


async def add_part(
    db: Transaction, upload_id: int, offset: int, length: int, part: str
) -> ResumableUpload | None:
    """None if the upload is at another offset, because the part was received before."""
    row = await db.fetch_one(
        _ADD_PART, upload_id=upload_id, offset=offset, length=length, part=part
    )
    return None if row is None else _upload_from(row)


async def start_over(db: Transaction, upload_id: int) -> None:
    await db.fetch(_START_OVER, upload_id=upload_id)


def _upload_from(row: Row) -> ResumableUpload:
    return ResumableUpload(
        id=row["id"],
        citizen_id=row["citizen_id"],
        size=row["size"],
        received=row["received"],
        parts=tuple(row["parts"].split()),
        expires_at=row["expires_at"],
    )
