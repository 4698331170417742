"""登录会话 sessions: lists a citizen's open sessions and ends one of them."""

from dataclasses import dataclass

from core import audit
from core.audit import Action
from core.citizens import OpenSession, sessions
from core.kernel.clock import Instant
from core.kernel.refusals import NoSuchSession
from core.unit_of_work import Preparation, UnitOfWork


@dataclass(frozen=True, slots=True)
class EndSession:
    session_id: int


async def own_sessions(preparation: Preparation, _: None) -> list[OpenSession]:
    """Newest first. Before the caller is bound to a citizen, only the caller's own session."""
    subject_id = preparation.session.subject_id
    return await sessions.find_open(preparation.db, subject_id, preparation.now)


async def end_session(unit: UnitOfWork, command: EndSession) -> Instant:
    subject_id = unit.session.subject_id
    if not await sessions.is_open(unit.db, subject_id, command.session_id, unit.now):
        raise NoSuchSession(field="id")
    sessions.end(unit.writes, subject_id, command.session_id, unit.now)
    await audit.record(unit, subject_id, Action.END_SESSION, session=command.session_id)
    return unit.now
