"""Garbage collection: abandoned uploads, replaced and refused pictures, unreferenced objects.

They are deleted a day after they were created, or when the draft that they belong to has expired; what
a citizen deleted is deleted at once. The
object is deleted before its row, so that an interrupted run is repeated by the next one.
"""

from sqlalchemy import Table, and_, bindparam, delete, or_, select

from core.applications import RETENTION as DRAFT_RETENTION
from core.applications import application_drafts_table, applications_table
from core.db import Database, Query, Row, Transaction
from core.kernel.clock import DAY, Instant, china_date
from core.kernel.ids import first_id_at
from core.storage import RETENTION, Objects, PictureKind, pictures_table, resumable_uploads_table

_AT_ONCE = 200
_DAYS_LISTED = 7

_ABANDONED_UPLOADS = Query(
    select(resumable_uploads_table)
    .where(resumable_uploads_table.c.id < bindparam("before"))
    .limit(_AT_ONCE)
)


def _delete(table: Table) -> Query:
    return Query(
        delete(table).where(
            table.c.subject_id == bindparam("of_subject"), table.c.id == bindparam("row_id")
        )
    )


_DELETE_UPLOAD = _delete(resumable_uploads_table)
_newer = pictures_table.alias("newer")
_replaced = and_(
    pictures_table.c.confirmed_at.is_(None),
    select(_newer.c.id)
    .where(
        _newer.c.subject_id == pictures_table.c.subject_id,
        _newer.c.kind == pictures_table.c.kind,
        _newer.c.id > pictures_table.c.id,
    )
    .exists(),
)
_refused = pictures_table.c.kind == PictureKind.PORTRAIT_REFUSED.value
_deleted = pictures_table.c.kind == PictureKind.DELETED.value
_of_an_expired_draft = and_(
    pictures_table.c.id < bindparam("draft_before"),
    ~select(application_drafts_table.c.subject_id)
    .where(application_drafts_table.c.subject_id == pictures_table.c.subject_id)
    .exists(),
    ~select(applications_table.c.id)
    .where(
        applications_table.c.subject_id == pictures_table.c.subject_id,
        applications_table.c.id > pictures_table.c.id,
    )
    .exists(),
)
_UNUSED_PICTURES = Query(
    select(pictures_table.c.subject_id, pictures_table.c.id, pictures_table.c.object_name)
    .where(
        or_(
            _deleted,
            and_(
                pictures_table.c.id < bindparam("before"),
                or_(_replaced, _refused, _of_an_expired_draft),
            ),
        )
    )
    .limit(_AT_ONCE)
)
_DELETE_PICTURE = _delete(pictures_table)
_NAMES_IN_PICTURES = Query(
    select(pictures_table.c.object_name).where(
        pictures_table.c.id >= bindparam("first"), pictures_table.c.id < bindparam("last")
    )
)
_NAMES_IN_UPLOADS = Query(
    select(resumable_uploads_table.c.parts).where(
        resumable_uploads_table.c.id >= bindparam("first"),
        resumable_uploads_table.c.id < bindparam("last"),
    )
)


async def remove(database: Database, objects: Objects, now: Instant) -> int:
    """Returns how many objects were removed. Raises `ObjectsUnavailable`."""
    removed = 0
    before = first_id_at(now - RETENTION)
    while rows := await database.fetch(_ABANDONED_UPLOADS, before=before):
        removed += await _remove(database, objects, rows, "parts", _DELETE_UPLOAD)
    draft_before = first_id_at(now - DRAFT_RETENTION)
    while rows := await database.fetch(_UNUSED_PICTURES, before=before, draft_before=draft_before):
        removed += await _remove(database, objects, rows, "object_name", _DELETE_PICTURE)
    return removed + await _remove_unreferenced(database, objects, now)


async def _remove(
    database: Database, objects: Objects, rows: list[Row], column: str, delete_rows: Query
) -> int:
    names = [name for row in rows for name in row[column].split()]
    await objects.remove(*names)

    async def job(db: Transaction) -> None:
        await db.execute_many(
            delete_rows, [{"of_subject": row["subject_id"], "row_id": row["id"]} for row in rows]
        )

    await database.write(job)
    return len(names)


async def _remove_unreferenced(database: Database, objects: Objects, now: Instant) -> int:
    """Objects whose row was never committed. Objects are listed by the day of their creation."""
    removed = 0
    for days in range(1, _DAYS_LISTED + 1):
        at = now - days * DAY
        found = await objects.list_day(china_date(at), before=now - RETENTION)
        if not found:
            continue
        span = {"first": first_id_at(at - 2 * DAY), "last": first_id_at(at + 2 * DAY)}
        referenced = {
            row["object_name"] for row in await database.fetch(_NAMES_IN_PICTURES, **span)
        }
        for row in await database.fetch(_NAMES_IN_UPLOADS, **span):
            referenced.update(row["parts"].split())
        unreferenced = [name for name in found if name not in referenced]
        await objects.remove(*unreferenced)
        removed += len(unreferenced)
    return removed
