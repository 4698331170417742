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
    caller = preparation.session
    if caller.citizen_id is None:
        return await sessions.find_open_by_id(preparation.db, caller.session_id, preparation.now)
    return await sessions.find_open(preparation.db, caller.citizen_id, preparation.now)


async def end_session(unit: UnitOfWork, command: EndSession) -> Instant:
    caller = unit.session
    is_own = command.session_id == caller.session_id or (
        caller.citizen_id is not None
        and await sessions.belongs_to(unit.db, command.session_id, caller.citizen_id, unit.now)
    )
    if not is_own:
        raise NoSuchSession(field="id")
    await sessions.end(unit.db, command.session_id, unit.now)
    await audit.record(
        unit,
        caller.citizen_id or caller.session_id,
        Action.END_SESSION,
        session=command.session_id,
    )
    return unit.now
