"""A person's history: their own entries of the audit log and their looks, as one list."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, bindparam, literal, select, tuple_, union_all

from core.audit import Action, audit_entries
from core.audit_views import audit_views
from core.clock import Instant
from core.database import Query, Reader


class Place(NamedTuple):
    """Where an entry stands in the list, which is ordered by it, newest first."""

    at: Instant
    is_view: int
    number: int
    position: int


NEWEST = Place(2**62, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """`channel` is a ChannelId, or who else did it: ISSUER or OPERATOR."""

    place: Place
    action: Action
    result: str
    channel: str


_before = tuple_(
    bindparam("before_at"),
    bindparam("before_kind"),
    bindparam("before_number"),
    bindparam("before_position"),
)


def _newest_of(table: Table, is_view: int, number: ColumnElement[int], position: Any) -> Any:
    """The newest of one table: so that a long history is not sorted whole."""
    place = (table.c.at, literal(is_view), number, position)
    found = (
        select(
            table.c.at,
            literal(is_view).label("is_view"),
            number.label("number"),
            position.label("position"),
            table.c.action,
            table.c.result,
            table.c.channel,
        )
        .where(
            table.c.person == bindparam("person"),
            table.c.at <= bindparam("before_at"),
            tuple_(*place) < _before,
        )
        .order_by(table.c.at.desc(), number.desc(), position.desc())
        .limit(bindparam("most"))
        .subquery()
    )
    return select(found)


_both = union_all(
    _newest_of(audit_entries, 0, audit_entries.c.number, literal(0)),
    _newest_of(audit_views, 1, audit_views.c.batch, audit_views.c.position),
).subquery()
_BEFORE = Query(
    select(_both)
    .order_by(
        _both.c.at.desc(), _both.c.is_view.desc(), _both.c.number.desc(), _both.c.position.desc()
    )
    .limit(bindparam("most"))
)


async def before(db: Reader, person: int, place: Place, most: int) -> list[Entry]:
    """The person's entries before a place, newest first."""
    rows = await db.fetch(
        _BEFORE,
        person=person,
        before_at=place.at,
        before_kind=place.is_view,
        before_number=place.number,
        before_position=place.position,
        most=most,
    )
    return [
        Entry(
            Place(row["at"], row["is_view"], row["number"], row["position"]),
            Action(row["action"]),
            row["result"],
            row["channel"],
        )
        for row in rows
    ]
