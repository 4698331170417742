"""退出 sign out: ends the session immediately."""

from core import audit
from core.audit import Action
from core.citizens import sessions
from core.kernel.clock import Instant
from core.kernel.refusals import NoSuchSession
from core.unit_of_work import UnitOfWork


async def sign_out(unit: UnitOfWork, _: None) -> Instant:
    """Refused if the session has ended meanwhile, or goes on under another token."""
    caller = unit.session
    if not await sessions.is_open(unit.db, caller.subject_id, caller.session_id, unit.now):
        raise NoSuchSession
    sessions.end(unit.writes, caller.subject_id, caller.session_id, unit.now)
    await audit.record(unit, caller.subject_id, Action.SIGN_OUT)
    return unit.now
