"""The pictures of an application: the portrait and both sides of the ID card.

A row holds the owner and the confirmation; the content is in object storage (`objects.py`).
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    select,
    tuple_,
    update,
)

from core.db import Query, Reader, Row, Writes, insert_into, metadata
from core.kernel.clock import Instant
from core.kernel.ids import new_id

pictures_table = Table(
    "pictures",
    metadata,
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("object_name", String(64), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("confirmed_at", BigInteger),
    ForeignKeyConstraint(["subject_id"], ["citizens.subject_id"], name="fk_pictures_subject_id"),
    Index("ix_pictures_id", "id"),
    sqlite_with_rowid=False,
)


class PictureKind(StrEnum):
    PORTRAIT = "PORTRAIT"
    PORTRAIT_REFUSED = "PORTRAIT_REFUSED"
    PORTRAIT_SIDE = "PORTRAIT_SIDE"
    EMBLEM_SIDE = "EMBLEM_SIDE"
    DELETED = "DELETED"
    """By the citizen: shown to nobody, until garbage collection has removed its content."""


_INSERT = insert_into(pictures_table)
_AFTER = Query(
    select(pictures_table)
    .where(
        tuple_(pictures_table.c.subject_id, pictures_table.c.id)
        > tuple_(bindparam("after_subject", type_=BigInteger), bindparam("after", type_=BigInteger))
    )
    .order_by(pictures_table.c.subject_id, pictures_table.c.id)
    .limit(bindparam("most"))
)
_OF_SUBJECT = Query(
    select(pictures_table)
    .where(pictures_table.c.subject_id == bindparam("subject_id"))
    .order_by(pictures_table.c.id)
)
_BY_ID = Query(
    select(pictures_table).where(
        pictures_table.c.subject_id == bindparam("subject_id"),
        pictures_table.c.id == bindparam("picture_id"),
        pictures_table.c.kind != PictureKind.DELETED.value,
    )
)
_DELETE_WITH_REPLACED = Query(
    update(pictures_table)
    .where(
        pictures_table.c.subject_id == bindparam("of_subject"),
        pictures_table.c.kind == bindparam("of_kind"),
        pictures_table.c.id > bindparam("after"),
        pictures_table.c.id <= bindparam("picture_id"),
    )
    .values(kind=PictureKind.DELETED.value)
)
_CONFIRM = Query(
    update(pictures_table)
    .where(
        pictures_table.c.subject_id == bindparam("of_subject"),
        pictures_table.c.id == bindparam("picture_id"),
    )
    .values(confirmed_at=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class Picture:
    id: int
    citizen_id: int
    kind: PictureKind
    object_name: str
    confirmed: bool


def add(
    writes: Writes,
    now: Instant,
    *,
    citizen_id: int,
    kind: PictureKind,
    object_name: str,
    size: int,
) -> int:
    picture_id = new_id(now)
    writes.add(
        _INSERT,
        subject_id=citizen_id,
        id=picture_id,
        kind=kind.value,
        object_name=object_name,
        bytes=size,
        created_at=now,
        confirmed_at=None,
    )
    return picture_id


async def find(db: Reader, citizen_id: int, picture_id: int) -> Picture | None:
    row = await db.fetch_one(_BY_ID, subject_id=citizen_id, picture_id=picture_id)
    return None if row is None else _picture_from(row)


async def after(db: Reader, place: tuple[int, int], most: int) -> list[Picture]:
    """Pages through the pictures of all citizens, in order of citizen and id."""
    rows = await db.fetch(_AFTER, after_subject=place[0], after=place[1], most=most)
    return [_picture_from(row) for row in rows]


async def latest(db: Reader, citizen_id: int) -> dict[PictureKind, Picture]:
    rows = await db.fetch(_OF_SUBJECT, subject_id=citizen_id)
    return {picture.kind: picture for picture in map(_picture_from, rows)}


def confirm(writes: Writes, picture: Picture, now: Instant) -> None:
    writes.add(_CONFIRM, of_subject=picture.citizen_id, picture_id=picture.id, at=now)


def delete_with_replaced(writes: Writes, picture: Picture, after: int) -> None:
    """Also the older ones of its kind with an id above `after`."""
    writes.add(
        _DELETE_WITH_REPLACED,
        of_subject=picture.citizen_id,
        of_kind=picture.kind.value,
        after=after,
        picture_id=picture.id,
    )


def _picture_from(row: Row) -> Picture:
    return Picture(
        id=row["id"],
        citizen_id=row["subject_id"],
        kind=PictureKind(row["kind"]),
        object_name=row["object_name"],
        confirmed=row["confirmed_at"] is not None,
    )
