"""申办表单 applicationForm and saveApplicationDraft."""

from typing import Annotated, Any

import strawberry

from core.applications import SPECS, FieldSpec, ValueSource, schema_name
from core.audit import Action
from core.cards import ASKS, CITIZEN, HOLDER
from core.kernel.clock import moment
from core.kernel.refusals import RefusalCode
from core.kernel.texts import Text
from core.reference import LABELS
from core.services.application_form import FormInProgress, application_form
from core.services.cards_elsewhere import ask_for_cards_elsewhere, keep_cards_elsewhere
from core.services.save_application_draft import SaveApplicationDraft, save_application_draft
from gateway.resolvers.run import read, run
from gateway.schema.enums import publish
from gateway.schema.errors import FieldProblem, RefusalPayload, problems_from
from gateway.schema.give_consent import PrivacyNotice
from gateway.schema.id_document_types import FieldSuggestion, suggestion_of
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.uploaded_pictures import (
    UploadedIdDocument,
    UploadedPicture,
    id_documents_of,
    portrait_of,
)

publish(
    ValueSource,
    "值的来源 · Where the value of a field comes from.",
    {
        ValueSource.PLATFORM: Text(
            "实名信息",
            "what the platform vouched for at sign-in, or the population registry confirmed at binding",
        ),
        ValueSource.DOCUMENT: Text("证件识别", "recognised on the ID card: to be checked"),
        ValueSource.DRAFT: Text("本人填写", "what the citizen entered"),
    },
)


_MISSING = (
    RefusalCode.REQUIRED,
    RefusalCode.CONSENT_NOT_GIVEN,
    RefusalCode.PORTRAIT_NOT_CONFIRMED,
    RefusalCode.ID_DOCUMENTS_NOT_CONFIRMED,
)


@strawberry.type(
    description="表单项 · What stands in a field of 数据采集项; how to show it says `serviceForm`."
)
class DraftField:
    spec: strawberry.Private[FieldSpec]
    form: strawberry.Private[FormInProgress]

    @strawberry.field(description="名称 · Name of the field in `ApplyCardInput`.")
    def name(self) -> str:
        return schema_name(self.spec.name)

    @strawberry.field(description="已填值 · Current value; booleans are `true` or `false`.")
    def value(self) -> str | None:
        value = getattr(self.form.values.filled, self.spec.name)
        if isinstance(value, bool):
            return "true" if value else "false"
        return value or None

    @strawberry.field(description="值的来源 · Where `value` comes from; null without a value.")
    def source(self) -> ValueSource | None:
        return self.form.values.sources.get(self.spec.name)

    @strawberry.field(
        description="识别结果 · What was recognised on the ID card for this field, with its confidence; null if "
        "nothing was, or if it equals a `value` from elsewhere. It never replaces one."
    )
    def suggestion(self, info: Info) -> FieldSuggestion | None:
        read, values = self.form.read.get(self.spec.name), self.form.values
        if read is None:
            return None
        is_source = values.sources.get(self.spec.name) is ValueSource.DOCUMENT
        if read.value == getattr(values.filled, self.spec.name) and not is_source:
            return None
        return suggestion_of(read, info.context)

    @strawberry.field(description="问题 · What is wrong with the value; null if it is valid.")
    def problem(self, info: Info) -> FieldProblem | None:
        name = schema_name(self.spec.name)
        found = [
            problem
            for problem in self.form.problems
            if problem.field == name and problem.code is not RefusalCode.REQUIRED
        ]
        return problems_from((found[0],), info.context.language)[0] if found else None


@strawberry.type(
    description="申办表单 · The draft: what was entered and filled in, and what is missing."
)
class ApplicationForm:
    form: strawberry.Private[FormInProgress]

    @strawberry.field(description="表单项 · All fields, in the guide's order.")
    def fields(self) -> list[DraftField]:
        return [DraftField(spec=spec, form=self.form) for spec in SPECS]

    @strawberry.field(description="未填项 · Names of missing fields, including pictures.")
    def missing(self) -> list[str]:
        return [problem.field or "" for problem in self.form.problems if problem.code in _MISSING]

    @strawberry.field(
        description="个人信息处理告知 · The notice to show and to agree to first; see `giveConsent`."
    )
    def privacy_notice(self, info: Info) -> PrivacyNotice:
        settings, given_at = info.context.dependencies.settings, self.form.consent_given_at
        return PrivacyNotice(
            version=settings.privacy_notice_version,
            url=settings.privacy_notice_url or None,
            given_at=None if given_at is None else moment(given_at),
            required=settings.consent_required,
        )

    @strawberry.field(description="证件照 · The sides of the ID card uploaded last.")
    def id_documents(self, info: Info) -> list[UploadedIdDocument]:
        return id_documents_of(info.context, self.form.pictures)

    @strawberry.field(
        description="提示 · What to know before filling it in, e.g. that cards of other regions could not be "
        "checked; usually null."
    )
    def note(self, info: Info) -> str | None:
        note = self.form.note
        return None if note is None else note.in_language(info.context.language)

    @strawberry.field(description="照片 · The portrait uploaded last; null before.")
    def portrait(self, info: Info) -> UploadedPicture | None:
        return portrait_of(info.context, self.form.pictures)


ApplicationFormResult = Annotated[
    ApplicationForm | RefusalPayload,
    strawberry.union("ApplicationFormResult", description="申办表单结果 · The form or a refusal."),
]


def _draft_field(name: str) -> Any:
    label = LABELS[schema_name(name)]
    return strawberry.field(
        default=strawberry.UNSET, description=f"{label.zh} · {label.en}; as in `ApplyCardInput`."
    )


@strawberry.input(description="申办草稿 · Any fields of the form; null clears a field.")
class ApplicationDraftInput:
    postal_code: str | None = _draft_field("postal_code")
    social_insurance_number: str | None = _draft_field("social_insurance_number")
    education_code: str | None = _draft_field("education_code")
    occupation_code: str | None = _draft_field("occupation_code")
    bank_code: str | None = _draft_field("bank_code")
    financial_withholding: bool | None = _draft_field("financial_withholding")
    pickup_method: str | None = _draft_field("pickup_method")
    district_code: str | None = _draft_field("district_code")
    outlet_code: str | None = _draft_field("outlet_code")
    phone: str | None = _draft_field("phone")
    nationality_code: str | None = _draft_field("nationality_code")
    id_document_type: str | None = _draft_field("id_document_type")
    id_issuer: str | None = _draft_field("id_issuer")
    id_number: str | None = _draft_field("id_number")
    id_valid_until: str | None = _draft_field("id_valid_until")
    name: str | None = _draft_field("name")
    gender_code: str | None = _draft_field("gender_code")
    ethnicity_code: str | None = _draft_field("ethnicity_code")
    birth_date: str | None = _draft_field("birth_date")

    def given(self) -> dict[str, Any]:
        return {
            spec.name: value
            for spec in SPECS
            if (value := getattr(self, spec.name)) is not strawberry.UNSET
        }


@strawberry.type(description="草稿已保存 · Stored for thirty days, available in every channel.")
class ApplicationDraftSaved:
    missing: list[str] = strawberry.field(description="未填项 · Names of fields still missing.")
    problems: list[FieldProblem] = strawberry.field(description="问题 · What is wrong now.")


SaveApplicationDraftResult = Annotated[
    ApplicationDraftSaved | RefusalPayload,
    strawberry.union("SaveApplicationDraftResult", description="保存草稿结果 · Saved or refusal."),
]


@strawberry.type
class ApplicationFormQuery:
    @strawberry.field(
        metadata={ASKS: HOLDER},
        directives=[NEEDS_PERSON],
        description="申办表单 · What the citizen has entered so far, filled in with what is known of them; "
        "how to show the form is in `serviceForm`. Refuses whoever cannot apply, before the first picture.",
    )
    async def application_form(self, info: Info) -> ApplicationFormResult:
        info.context.require_citizen()
        await run(
            info.context, keep_cards_elsewhere, None, action=None, first=ask_for_cards_elsewhere
        )
        return ApplicationForm(
            form=await read(info.context, application_form, None, action=Action.APPLICATION_FORM)
        )


@strawberry.type
class ApplicationDraftMutation:
    @strawberry.mutation(
        metadata={ASKS: CITIZEN},
        directives=[NEEDS_PERSON],
        description="保存草稿 · Saves the given fields; the form may be incomplete.",
    )
    async def save_application_draft(
        self, info: Info, input: Annotated[ApplicationDraftInput, FORM]
    ) -> SaveApplicationDraftResult:
        info.context.require_citizen()
        command = SaveApplicationDraft(fields=input.given())
        saved = await run(info.context, save_application_draft, command, action=Action.SAVE_DRAFT)
        return ApplicationDraftSaved(
            missing=list(saved.missing),
            problems=problems_from(saved.problems, info.context.language),
        )
