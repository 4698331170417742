"""The pictures of an application: the portrait and both sides of the ID card.

A row holds the owner and the confirmation; the content is in object storage (`objects.py`).
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    bindparam,
    func,
    select,
    update,
)

from core.db import Id, Query, Reader, Row, Transaction, insert_into, metadata
from core.kernel.clock import Instant
from core.kernel.ids import new_id

pictures_table = Table(
    "pictures",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("citizen_id", BigInteger, ForeignKey("citizens.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("object_name", String(64), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("confirmed_at", BigInteger),
    Index("ix_pictures_citizen_id", "citizen_id", "kind"),
)


class PictureKind(StrEnum):
    PORTRAIT = "PORTRAIT"
    PORTRAIT_REFUSED = "PORTRAIT_REFUSED"
    PORTRAIT_SIDE = "PORTRAIT_SIDE"
    EMBLEM_SIDE = "EMBLEM_SIDE"


_INSERT = insert_into(pictures_table)
_AFTER = Query(
    select(pictures_table)
    .where(pictures_table.c.id > bindparam("after"))
    .order_by(pictures_table.c.id)
    .limit(bindparam("most"))
)
_BY_ID = Query(select(pictures_table).where(pictures_table.c.id == bindparam("picture_id")))
_latest = (
    select(func.max(pictures_table.c.id))
    .where(pictures_table.c.citizen_id == bindparam("citizen_id"))
    .group_by(pictures_table.c.kind)
    .scalar_subquery()
)
_LATEST = Query(select(pictures_table).where(pictures_table.c.id.in_(_latest)))
_CONFIRM = Query(
    update(pictures_table)
    .where(
        pictures_table.c.id == bindparam("picture_id"),
        pictures_table.c.citizen_id == bindparam("owner"),
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


async def add(
    db: Transaction,
    now: Instant,
    *,
    citizen_id: int,
    kind: PictureKind,
    object_name: str,
    size: int,
) -> int:
    picture_id = new_id(now)
    await db.fetch(
        _INSERT,
        id=picture_id,
        citizen_id=citizen_id,
        kind=kind.value,
        object_name=object_name,
        bytes=size,
        created_at=now,
        confirmed_at=None,
    )
    return picture_id


async def find_by_id(db: Reader, picture_id: int) -> Picture | None:
    """For signed links, which carry their own authorisation."""
    row = await db.fetch_one(_BY_ID, picture_id=picture_id)
    return None if row is None else _picture_from(row)


async def after(db: Reader, picture_id: int, most: int) -> list[Picture]:
    """Pages through the pictures of all citizens, in order of id."""
    return [_picture_from(row) for row in await db.fetch(_AFTER, after=picture_id, most=most)]


async def latest(db: Reader, citizen_id: int) -> dict[PictureKind, Picture]:
    rows = await db.fetch(_LATEST, citizen_id=citizen_id)
    found = (_picture_from(row) for row in rows)
    return {picture.kind: picture for picture in found}


async def confirm(db: Transaction, picture: Picture, now: Instant) -> None:
    await db.fetch(_CONFIRM, picture_id=picture.id, owner=picture.citizen_id, at=now)


def _picture_from(row: Row) -> Picture:
    return Picture(
        id=row["id"],
        citizen_id=row["citizen_id"],
        kind=PictureKind(row["kind"]),
        object_name=row["object_name"],
        confirmed=row["confirmed_at"] is not None,
    )
