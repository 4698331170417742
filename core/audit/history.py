"""A subject's history: audit entries and access records, merged by time.

Both lists are read by the subject's key, newest first, each from its own place on.
"""

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import and_, bindparam, select

from core.audit import access_log
from core.audit.access_log import AccessRow
from core.audit.log import ACTIONS, Action, audit_entries_table
from core.audit.ratings import service_ratings_table
from core.db import Query, Reader, Row
from core.kernel.clock import Instant

_NEVER = 2**31 - 1


class Place(NamedTuple):
    """A cursor into both lists, newest first: the last entry and the last access record read."""

    number: int
    month: int
    at: Instant
    lane: int
    batch: int
    position: int


NEWEST = Place(_NEVER, _NEVER, 2**62, _NEVER, _NEVER, _NEVER)


@dataclass(frozen=True, slots=True)
class Entry:
    """`channel` is a `ChannelId`, or ISSUER, OPERATOR, WORKER or LINK; `details` are a JSON object,
    and `score` is how the citizen rated it."""

    place: Place
    at: Instant
    action: Action
    result: str
    channel: str
    details: str = "{}"
    score: int | None = None


_rated = audit_entries_table.outerjoin(
    service_ratings_table,
    and_(
        service_ratings_table.c.subject_id == audit_entries_table.c.subject_id,
        service_ratings_table.c.number == audit_entries_table.c.number,
    ),
)
_BEFORE = Query(
    select(audit_entries_table, service_ratings_table.c.score)
    .select_from(_rated)
    .where(
        audit_entries_table.c.subject_id == bindparam("subject_id"),
        audit_entries_table.c.number < bindparam("before"),
    )
    .order_by(audit_entries_table.c.number.desc())
    .limit(bindparam("limit"))
)
_ENTRY = Query(
    select(audit_entries_table, service_ratings_table.c.score)
    .select_from(_rated)
    .where(
        audit_entries_table.c.subject_id == bindparam("subject_id"),
        audit_entries_table.c.number == bindparam("number"),
    )
)


async def before(db: Reader, subject_id: int, place: Place, limit: int) -> list[Entry]:
    """At most `limit` entries before a place, newest first; each list keeps its own order."""
    entries = list(await db.fetch(_BEFORE, subject_id=subject_id, before=place.number, limit=limit))
    accesses = await access_log.before(db, subject_id, place[1:], limit)
    found: list[Entry] = []
    entries.reverse()
    accesses.reverse()
    while len(found) < limit and (entries or accesses):
        if not accesses or (entries and entries[-1]["at"] >= accesses[-1].at):
            place, entry = _after_entry(place, entries.pop())
        else:
            place, entry = _after_access(place, accesses.pop())
        found.append(entry)
    return found


async def entry(db: Reader, subject_id: int, number: int) -> Entry | None:
    """The audit entry with this number; None if the subject has none."""
    row = await db.fetch_one(_ENTRY, subject_id=subject_id, number=min(number, _NEVER))
    return None if row is None else _entry(NEWEST._replace(number=number), row)


def _after_entry(place: Place, row: Row) -> tuple[Place, Entry]:
    place = place._replace(number=row["number"])
    return place, _entry(place, row)


def _entry(place: Place, row: Row) -> Entry:
    return Entry(
        place,
        row["at"],
        ACTIONS[row["action"]],
        row["result"],
        row["channel"],
        row["details"],
        row["score"],
    )


def _after_access(place: Place, access: AccessRow) -> tuple[Place, Entry]:
    place = Place(place.number, *access.place)
    return place, Entry(place, access.at, ACTIONS[access.action], access.result, access.channel)
