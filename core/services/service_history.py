"""办理记录 service history: a citizen's own audit and access records, newest first."""

from dataclasses import dataclass

from core.audit import NEWEST, Entry, Place, history
from core.kernel.refusals import InvalidFormat, Text
from core.reference import LABELS
from core.unit_of_work import Preparation

MAX_PAGE = 100


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
    if not 0 < command.first <= MAX_PAGE:
        raise InvalidFormat(
            field="first",
            label=LABELS["first"],
            rule=Text(f"1 至 {MAX_PAGE} 的整数", f"a whole number from 1 to {MAX_PAGE}"),
        )
    subject_id = preparation.session.subject_id
    found = await history.before(preparation.db, subject_id, command.before, command.first + 1)
    return HistoryPage(tuple(found[: command.first]), len(found) > command.first)
