"""办理记录 service history: a citizen's own audit and access records, newest first."""

from dataclasses import dataclass

from core.audit import NEWEST, Entry, Place, history
from core.reference import page_size
from core.unit_of_work import Preparation


@dataclass(frozen=True, slots=True)
class ServiceHistory:
    """At most `first` entries before the one at `before`."""

    first: int
    before: Place = NEWEST


@dataclass(frozen=True, slots=True)
class HistoryPage:
    entries: tuple[Entry, ...]
    has_more: bool


async def service_history(preparation: Preparation, command: ServiceHistory) -> HistoryPage:
    """Before the caller is bound to a citizen, the history of the caller's session."""
    first, subject_id = page_size(command.first), preparation.session.subject_id
    found = await history.before(preparation.db, subject_id, command.before, first + 1)
    return HistoryPage(tuple(found[:first]), len(found) > first)
