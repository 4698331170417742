"""同意 give consent: records agreement to the version of the privacy notice that was shown."""

from dataclasses import dataclass

from core import audit
from core.audit import Action
from core.citizens import consents
from core.kernel.clock import Instant
from core.kernel.refusals import NoticeChanged
from core.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class GiveConsent:
    """`notice_version` is the version that the citizen read."""

    notice_version: str


async def give_consent(unit: UnitOfWork, command: GiveConsent) -> Instant:
    """Returns the time of the first agreement to this version."""
    citizen_id, current = unit.citizen_id, unit.dependencies.settings.privacy_notice_version
    if command.notice_version != current:
        raise NoticeChanged(field="noticeVersion")
    given_at = await consents.given_at(unit.db, citizen_id, current)
    if given_at is not None:
        return given_at
    consents.give(unit.writes, citizen_id, current, unit.now)
    await audit.record(unit, citizen_id, Action.GIVE_CONSENT, version=current)
    return unit.now
