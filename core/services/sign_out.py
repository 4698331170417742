"""退出 sign out: ends the session immediately."""

from core import audit
from core.audit import Action
from core.citizens import sessions
from core.kernel.clock import Instant
from core.unit_of_work import UnitOfWork


async def sign_out(unit: UnitOfWork, _: None) -> Instant:
    caller = unit.session
    sessions.end(unit.writes, caller.subject_id, caller.session_id, unit.now)
    await audit.record(unit, caller.subject_id, Action.SIGN_OUT)
    return unit.now
