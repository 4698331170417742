"""What nobody will ask for again: abandoned uploads, pictures replaced or refused, stray objects.

Removed a day after they were left behind, and with the draft they belonged to. The object
goes first and its row after: a sweep that is cut off is repeated by the next one.
"""

from sqlalchemy import and_, bindparam, delete, or_, select

from core.applications import KEPT_FOR as DRAFT_KEPT_FOR
from core.applications import application_drafts_table, applications_table
from core.db import Database, Query, Row, Transaction
from core.kernel.clock import DAY, Instant, china_date
from core.kernel.ids import first_id_at
from core.storage import KEPT_FOR, Objects, PictureKind, pictures_table, resumable_uploads_table

_AT_ONCE = 200
_DAYS_LOOKED_BACK = 7

_ABANDONED = Query(
    select(resumable_uploads_table.c.id, resumable_uploads_table.c.parts)
    .where(resumable_uploads_table.c.id < bindparam("before"))
    .limit(_AT_ONCE)
)
_FORGET_UPLOAD = Query(
    delete(resumable_uploads_table).where(resumable_uploads_table.c.id == bindparam("row_id"))
)
_newer = pictures_table.alias("newer")
_replaced = and_(
    pictures_table.c.confirmed_at.is_(None),
    select(_newer.c.id)
    .where(
        _newer.c.citizen_id == pictures_table.c.citizen_id,
        _newer.c.kind == pictures_table.c.kind,
        _newer.c.id > pictures_table.c.id,
    )
    .exists(),
)
_refused = pictures_table.c.kind == PictureKind.PORTRAIT_REFUSED.value
_of_a_lapsed_draft = and_(
    pictures_table.c.id < bindparam("draft_before"),
    ~select(application_drafts_table.c.citizen_id)
    .where(application_drafts_table.c.citizen_id == pictures_table.c.citizen_id)
    .exists(),
    ~select(applications_table.c.id)
    .where(
        applications_table.c.citizen_id == pictures_table.c.citizen_id,
        applications_table.c.id > pictures_table.c.id,
    )
    .exists(),
)
_LEFT_BEHIND = Query(
    select(pictures_table.c.id, pictures_table.c.object_name)
    .where(pictures_table.c.id < bindparam("before"), or_(_replaced, _refused, _of_a_lapsed_draft))
    .limit(_AT_ONCE)
)
_FORGET_PICTURE = Query(delete(pictures_table).where(pictures_table.c.id == bindparam("row_id")))
_PICTURES_FROM = Query(
    select(pictures_table.c.object_name).where(
        pictures_table.c.id >= bindparam("first"), pictures_table.c.id < bindparam("last")
    )
)
_PARTS_FROM = Query(
    select(resumable_uploads_table.c.parts).where(
        resumable_uploads_table.c.id >= bindparam("first"),
        resumable_uploads_table.c.id < bindparam("last"),
    )
)


async def remove(database: Database, objects: Objects, now: Instant) -> int:
    """Returns how many objects were removed. Raises `ObjectsUnavailable`."""
    removed = 0
    before = first_id_at(now - KEPT_FOR)
    while rows := await database.fetch(_ABANDONED, before=before):
        removed += await _remove(database, objects, rows, "parts", _FORGET_UPLOAD)
    lapsed = first_id_at(now - DRAFT_KEPT_FOR)
    while rows := await database.fetch(_LEFT_BEHIND, before=before, draft_before=lapsed):
        removed += await _remove(database, objects, rows, "object_name", _FORGET_PICTURE)
    return removed + await _remove_unnamed(database, objects, now)


async def _remove(
    database: Database, objects: Objects, rows: list[Row], column: str, forget: Query
) -> int:
    names = [name for row in rows for name in row[column].split()]
    await objects.remove(*names)

    async def job(db: Transaction) -> None:
        await db.execute_many(forget, [{"row_id": row["id"]} for row in rows])

    await database.write(job)
    return len(names)


async def _remove_unnamed(database: Database, objects: Objects, now: Instant) -> int:
    """Objects whose row was never committed; each day's lie together."""
    removed = 0
    for days in range(1, _DAYS_LOOKED_BACK + 1):
        at = now - days * DAY
        found = await objects.list_day(china_date(at), before=now - KEPT_FOR)
        if not found:
            continue
        span = {"first": first_id_at(at - 2 * DAY), "last": first_id_at(at + 2 * DAY)}
        named = {row["object_name"] for row in await database.fetch(_PICTURES_FROM, **span)}
        for row in await database.fetch(_PARTS_FROM, **span):
            named.update(row["parts"].split())
        unnamed = [name for name in found if name not in named]
        await objects.remove(*unnamed)
        removed += len(unnamed)
    return removed
