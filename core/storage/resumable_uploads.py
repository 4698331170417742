"""Resumable uploads: received in parts, each upload at its own URL.

A row holds owner, total size and bytes received; the parts are in object storage (`objects.py`).
Unused uploads are removed after a day (`core/jobs/garbage_collection.py`).
"""

from dataclasses import dataclass, field, replace

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    Table,
    Text,
    bindparam,
    select,
    update,
)

from core.db import Query, Reader, Row, Writes, insert_into, metadata
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
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("size", Integer, nullable=False),
    Column("received", Integer, nullable=False),
    Column("parts", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["subject_id"], ["citizens.subject_id"], name="fk_resumable_uploads_subject_id"
    ),
    sqlite_with_rowid=False,
)

_INSERT = insert_into(resumable_uploads_table)
_is_this = (
    resumable_uploads_table.c.subject_id == bindparam("of_subject"),
    resumable_uploads_table.c.id == bindparam("upload_id"),
)
_FIND = Query(select(resumable_uploads_table).where(*_is_this))
_SET_PARTS = Query(
    update(resumable_uploads_table)
    .where(*_is_this, resumable_uploads_table.c.received == bindparam("offset"))
    .values(received=bindparam("new_received"), parts=bindparam("new_parts"))
)


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


def open_upload(writes: Writes, now: Instant, *, citizen_id: int, size: int) -> ResumableUpload:
    upload = ResumableUpload(new_id(now), citizen_id, size, 0, (), now + OPEN_FOR)
    writes.add(
        _INSERT,
        subject_id=citizen_id,
        id=upload.id,
        size=size,
        received=0,
        parts="",
        expires_at=upload.expires_at,
    )
    return upload


async def find(db: Reader, citizen_id: int, upload_id: int) -> ResumableUpload | None:
    row = await db.fetch_one(_FIND, of_subject=citizen_id, upload_id=upload_id)
    return None if row is None else _upload_from(row)


def add_part(writes: Writes, upload: ResumableUpload, length: int, part: str) -> ResumableUpload:
    """The upload with one more part. If another part was received meanwhile, the unit of work loses
    its race."""
    return _set_parts(writes, upload, upload.received + length, (*upload.parts, part))


def start_over(writes: Writes, upload: ResumableUpload) -> ResumableUpload:
    return _set_parts(writes, upload, 0, ())


def _set_parts(
    writes: Writes, upload: ResumableUpload, received: int, parts: tuple[str, ...]
) -> ResumableUpload:
    writes.guard(
        _SET_PARTS,
        of_subject=upload.citizen_id,
        upload_id=upload.id,
        offset=upload.received,
        new_received=received,
        new_parts=" ".join(parts),
    )
    return replace(upload, received=received, parts=parts)


def _upload_from(row: Row) -> ResumableUpload:
    return ResumableUpload(
        id=row["id"],
        citizen_id=row["subject_id"],
        size=row["size"],
        received=row["received"],
        parts=tuple(row["parts"].split()),
        expires_at=row["expires_at"],
    )
