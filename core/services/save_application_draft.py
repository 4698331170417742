"""保存草稿 save application draft: saves single fields; incomplete or invalid ones are reported, not refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core import audit
from core.applications import application_forms, draft_values, drafts, prefills
from core.audit import Action
from core.kernel.clock import china_date
from core.kernel.refusals import Refusal, RefusalCode, TooLong
from core.reference import LABELS, Form
from core.unit_of_work import UnitOfWork

_MAX_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class SaveApplicationDraft:
    """The fields that change, by their names in `FilledForm`; None erases one."""

    fields: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SavedDraft:
    """`missing` are field names of the schema."""

    missing: tuple[str, ...]
    problems: tuple[Refusal, ...]


async def save_application_draft(unit: UnitOfWork, command: SaveApplicationDraft) -> SavedDraft:
    _must_be_short(command.fields)
    vault, citizen = unit.dependencies.vault, await unit.citizen()
    draft = await drafts.find(unit.db, vault, citizen.id, unit.now)
    read = await prefills.find(unit.db, vault, citizen.id, unit.now)
    merged = {
        name: value
        for name, value in (dict(draft.fields) | dict(command.fields)).items()
        if value is not None
    }
    drafts.save(unit.writes, vault, citizen.id, merged, unit.now)
    await audit.record(unit, citizen.id, Action.SAVE_DRAFT)
    form, today = Form(), china_date(unit.now)
    application_forms.check(
        form,
        draft_values(merged, citizen, read, today).filled,
        citizen,
        unit.dependencies.reference,
        today,
        unit.dependencies.settings.adult_age,
    )
    return SavedDraft(
        missing=tuple(
            problem.field or "" for problem in form.problems if problem.code is RefusalCode.REQUIRED
        ),
        problems=tuple(
            problem for problem in form.problems if problem.code is not RefusalCode.REQUIRED
        ),
    )


def _must_be_short(fields: Mapping[str, Any]) -> None:
    form = Form()
    for name, value in fields.items():
        if isinstance(value, str) and len(value) > _MAX_CHARACTERS:
            label = application_forms.schema_name(name)
            form.refuse(TooLong(field=label, label=LABELS[label], most=_MAX_CHARACTERS))
    form.finish()
