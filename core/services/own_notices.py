"""通知 notices: a citizen's inbox of all notices that were sent, newest first, and its read marks."""

from collections.abc import Sequence
from dataclasses import dataclass

from core import audit
from core.audit import Action
from core.kernel.clock import Instant
from core.kernel.refusals import InvalidFormat
from core.kernel.texts import Text
from core.messaging import SentNotice, inbox
from core.reference import LABELS, page_size
from core.unit_of_work import Preparation, UnitOfWork


@dataclass(frozen=True, slots=True)
class OwnNotices:
    """At most `first` notices before the one with the id `before`."""

    first: int
    before: int = inbox.NEWEST


@dataclass(frozen=True, slots=True)
class NoticePage:
    notices: tuple[SentNotice, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class MarkNoticesRead:
    """None: all that have been sent until now."""

    ids: Sequence[int] | None


async def own_notices(preparation: Preparation, command: OwnNotices) -> NoticePage:
    """Before the caller is bound to a citizen, there are none."""
    first, subject_id = page_size(command.first), preparation.session.subject_id
    found = await inbox.before(preparation.db, subject_id, command.before, first + 1)
    return NoticePage(tuple(found[:first]), len(found) > first)


async def unread_notices(preparation: Preparation, _: None) -> int:
    return await inbox.unread(preparation.db, preparation.session.subject_id)


async def mark_notices_read(unit: UnitOfWork, command: MarkNoticesRead) -> Instant:
    """Ids of which the citizen has no notice are passed over: reading twice is no error."""
    citizen_id = unit.citizen_id
    if command.ids is None:
        inbox.mark_all(unit.writes, citizen_id, unit.now)
    elif not 0 < len(command.ids) <= inbox.MAX_MARKED:
        raise InvalidFormat(
            field="ids",
            label=LABELS["ids"],
            rule=Text(
                f"1 至 {inbox.MAX_MARKED} 条，或不填（全部）",
                f"1 to {inbox.MAX_MARKED}, or none for all",
            ),
        )
    else:
        inbox.mark(unit.writes, citizen_id, command.ids, unit.now)
    await audit.record(unit, citizen_id, Action.MARK_NOTICES_READ)
    return unit.now
