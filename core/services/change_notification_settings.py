"""通知设置 notification settings: which notices a citizen gets by SMS and in the app."""

from collections.abc import Sequence
from dataclasses import dataclass

from core import audit
from core.audit import Action
from core.citizens import Choice, Notice, notification_settings
from core.kernel.refusals import NothingToChange, SmsRequired
from core.reference import Form
from core.unit_of_work import Preparation, UnitOfWork


@dataclass(frozen=True, slots=True)
class ChangedChoice:
    """None leaves a setting unchanged."""

    notice: Notice
    sms: bool | None
    channel: bool | None


@dataclass(frozen=True, slots=True)
class ChangeNotificationSettings:
    settings: Sequence[ChangedChoice]


async def own_notification_settings(preparation: Preparation, _: None) -> dict[Notice, Choice]:
    return await notification_settings.choices_of(preparation.db, preparation.citizen_id)


async def change_notification_settings(
    unit: UnitOfWork, command: ChangeNotificationSettings
) -> dict[Notice, Choice]:
    """Returns all settings. If a notice is given twice, the later value applies."""
    citizen_id = unit.citizen_id
    _check(command)
    await unit.head(citizen_id)
    choices = await notification_settings.choices_of(unit.db, citizen_id)
    changed: dict[Notice, Choice] = {}
    for wanted in command.settings:
        before = changed.get(wanted.notice, choices[wanted.notice])
        changed[wanted.notice] = Choice(
            before.sms if wanted.sms is None else wanted.sms,
            before.channel if wanted.channel is None else wanted.channel,
        )
    notification_settings.save(unit.writes, citizen_id, changed, unit.now)
    await audit.record(
        unit, citizen_id, Action.CHANGE_NOTIFICATIONS, notices=",".join(sorted(changed))
    )
    return choices | changed


def _check(command: ChangeNotificationSettings) -> None:
    form = Form()
    for number, wanted in enumerate(command.settings):
        if wanted.notice.is_security and wanted.sms is False:
            form.refuse(SmsRequired(field=f"settings.{number}.sms", notice=wanted.notice.heading))
    form.finish()
    if all(wanted.sms is None and wanted.channel is None for wanted in command.settings):
        raise NothingToChange(field="settings")
