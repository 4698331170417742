"""申办表单 application form: the draft with its missing and invalid fields, for those who can apply."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.applications import DraftValues, application_forms, draft_values, drafts, prefills
from core.cards import holders, ways_out
from core.citizens import consents
from core.imaging import ReadField
from core.kernel.card_services import CardService
from core.kernel.clock import Instant, china_date
from core.kernel.refusals import Refusal
from core.kernel.texts import Text
from core.reference import Form
from core.storage import Picture, PictureKind, pictures
from core.unit_of_work import Preparation


@dataclass(frozen=True, slots=True)
class FormInProgress:
    """`values` are the draft and what it was filled with; `problems` are those of all fields, missing
    ones included.

    `read` holds the fields that were recognised in the ID documents, by field name; `note` is what
    the citizen should know before they fill it in.
    """

    values: DraftValues
    pictures: Mapping[PictureKind, Picture]
    consent_given_at: Instant | None
    problems: tuple[Refusal, ...]
    read: Mapping[str, ReadField] = field(default_factory=dict, repr=False)
    note: Text | None = None


async def application_form(preparation: Preparation, _: None) -> FormInProgress:
    db, vault, now, settings = (
        preparation.db,
        preparation.dependencies.vault,
        preparation.now,
        preparation.dependencies.settings,
    )
    citizen_id = preparation.citizen_id
    holder = await holders.find(db, vault, now, citizen_id)
    ways_out.check_eligibility(CardService.APPLY_CARD, holder)
    draft = await drafts.find(db, vault, citizen_id, now)
    read = await prefills.find(db, vault, citizen_id, now)
    values = draft_values(draft.fields, holder.citizen, read, china_date(now))
    stored = await pictures.latest(db, citizen_id)
    agreed = await consents.given_at(db, citizen_id, settings.privacy_notice_version)
    form = Form()
    if settings.consent_required:
        application_forms.check_consent(form, agreed)
    application_forms.check_pictures(form, stored)
    application_forms.check(
        form,
        values.filled,
        holder.citizen,
        preparation.dependencies.reference,
        china_date(now),
        settings.adult_age,
    )
    note = ways_out.note(CardService.APPLY_CARD, holder)
    return FormInProgress(values, stored, agreed, form.problems, read, note)
