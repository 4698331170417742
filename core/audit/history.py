"""A person's history: their own entries of the audit log and their looks, as one list."""

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, select

from core.audit import access_log
from core.audit.access_log import View
from core.audit.log import ACTIONS, Action, audit_entries_table
from core.db import Query, Reader, Row
from core.kernel.clock import Instant

_NEVER = 2**31 - 1


class Place(NamedTuple):
    """How far both lists have been read, newest first: the entry and the look that came last."""

    number: int
    batch: int
    position: int


NEWEST = Place(_NEVER, _NEVER, _NEVER)


@dataclass(frozen=True, slots=True)
class Entry:
    """`channel` is a ChannelId, or who else did it: ISSUER or OPERATOR."""

    place: Place
    at: Instant
    action: Action
    result: str
    channel: str


_BEFORE = Query(
    select(audit_entries_table)
    .where(
        audit_entries_table.c.subject_id == bindparam("subject_id"),
        audit_entries_table.c.number < bindparam("before"),
    )
    .order_by(audit_entries_table.c.number.desc())
    .limit(bindparam("most"))
)


async def before(db: Reader, subject_id: int, place: Place, most: int) -> list[Entry]:
    """The person's entries and looks before a place, newest first; each list keeps its own order."""
    entries = list(await db.fetch(_BEFORE, subject_id=subject_id, before=place.number, most=most))
    views = [
        view
        for view in await access_log.of_subject(db, subject_id, place.batch, most + 1)
        if view[:2] < place[1:]
    ]
    found: list[Entry] = []
    entries.reverse()
    views.reverse()
    while len(found) < most and (entries or views):
        if not views or (entries and entries[-1]["at"] >= views[-1].at):
            place, entry = _after_entry(place, entries.pop())
        else:
            place, entry = _after_view(place, views.pop())
        found.append(entry)
    return found


def _after_entry(place: Place, row: Row) -> tuple[Place, Entry]:
    place = place._replace(number=row["number"])
    return place, Entry(place, row["at"], ACTIONS[row["action"]], row["result"], row["channel"])


def _after_view(place: Place, view: View) -> tuple[Place, Entry]:
    place = Place(place.number, view.batch, view.position)
    return place, Entry(place, view.at, ACTIONS[view.action], view.result, view.channel)
