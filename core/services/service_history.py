"""办理记录 service history: a person's own entries of the audit log, newest first."""

from dataclasses import dataclass

from core import audit
from core.audit import Entry
from core.errors import InvalidFormat, Text
from core.forms import LABELS
from core.unit import Errand

MOST = 100
NEWEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ServiceHistory:
    """At most `first` entries before the one numbered `before`."""

    first: int
    before: int = NEWEST


@dataclass(frozen=True, slots=True)
class HistoryPage:
    entries: tuple[Entry, ...]
    has_more: bool


async def service_history(errand: Errand, command: ServiceHistory) -> HistoryPage:
    """Before the person is known, the history of the session that asks."""
    if not 0 < command.first <= MOST:
        raise InvalidFormat(
            field="first",
            label=LABELS["first"],
            rule=Text(f"1 至 {MOST} 的整数", f"a whole number from 1 to {MOST}"),
        )
    caller = errand.session
    person = caller.citizen_id or caller.session_id
    found = await audit.before(errand.db, person, command.before, command.first + 1)
    return HistoryPage(tuple(found[: command.first]), len(found) > command.first)
