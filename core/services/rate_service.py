"""服务评价 rate service: how a service was, once for each, forwarded to the 好差评 platform."""

from dataclasses import dataclass, field

from core import audit
from core.audit import DONE, RATED_ACTIONS, Action, Entry, history, ratings
from core.kernel.clock import Instant
from core.kernel.refusals import AlreadyRated, InvalidFormat, NoSuchHistoryEntry
from core.kernel.texts import Text
from core.messaging import MessageKind, outbox
from core.reference import LABELS, Form
from core.unit_of_work import UnitOfWork

MAX_COMMENT = 200
_SCORES = range(1, 6)


@dataclass(frozen=True, slots=True)
class RateService:
    """`entry_number` is that of the service's entry in the citizen's history."""

    entry_number: int
    score: int
    comment: str | None = field(repr=False)


def can_be_rated(entry: Entry) -> bool:
    return entry.action in RATED_ACTIONS and entry.result == DONE and entry.score is None


async def rate_service(unit: UnitOfWork, command: RateService) -> Instant:
    """The comment is kept by the platform alone."""
    citizen_id = unit.citizen_id
    comment = _comment(command)
    await unit.head(citizen_id)
    entry = await history.entry(unit.db, citizen_id, command.entry_number)
    if entry is None or entry.action not in RATED_ACTIONS or entry.result != DONE:
        raise NoSuchHistoryEntry(field="historyEntryId")
    if entry.score is not None:
        raise AlreadyRated(field="historyEntryId")
    ratings.add(unit.writes, citizen_id, command.entry_number, command.score, unit.now)
    outbox.put(
        unit,
        subject_id=citizen_id,
        kind=MessageKind.SERVICE_RATING,
        payload={
            "service": entry.action.value,
            "serviceName": entry.action.text.zh,
            "channel": entry.channel,
            "handledAt": entry.at,
            "ratedAt": unit.now,
            "score": command.score,
            "comment": comment,
        },
    )
    await audit.record(unit, citizen_id, Action.RATE_SERVICE, entry=command.entry_number)
    return unit.now


def _comment(command: RateService) -> str | None:
    form = Form()
    if command.score not in _SCORES:
        form.refuse(
            InvalidFormat(
                field="score", label=LABELS["score"], rule=Text("1 至 5 的整数", "1 to 5")
            )
        )
    comment = None
    if command.comment and command.comment.strip():
        comment = form.text("comment", command.comment, MAX_COMMENT)
    form.finish()
    return comment
