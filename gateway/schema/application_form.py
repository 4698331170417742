"""申办表单 applicationForm and saveApplicationDraft."""

from typing import Annotated, Any

import strawberry

from core.applications import SPECS, FieldSpec, FieldType, schema_name
from core.audit import Action
from core.cards import ASKS, CITIZEN, HOLDER
from core.kernel.clock import moment
from core.kernel.refusals import RefusalCode, Text
from core.reference import LABELS
from core.services.application_form import FormInProgress, application_form
from core.services.cards_elsewhere import ask_for_cards_elsewhere, keep_cards_elsewhere
from core.services.save_application_draft import SaveApplicationDraft, save_application_draft
from core.storage import PictureKind
from gateway.resolvers.run import read, run
from gateway.resolvers.signed_links import picture_link
from gateway.schema.enums import publish
from gateway.schema.errors import FieldProblem, RefusalPayload, problems_from
from gateway.schema.give_consent import PrivacyNotice
from gateway.schema.id_document_types import FieldSuggestion, IdDocumentSide, suggestion_of
from gateway.schema.info import FORM, Info
from gateway.schema.levels import NEEDS_PERSON
from gateway.schema.types import Option
from gateway.schema.verification_purposes import VerificationPurpose

publish(
    FieldType,
    "表单项类型 · How to show a field.",
    {
        FieldType.TEXT: Text("文本", "text"),
        FieldType.DIGITS: Text("数字", "digits, as text"),
        FieldType.DATE: Text("日期", "`YYYYMMDD`"),
        FieldType.SELECT: Text("选择", "one of `options`"),
        FieldType.BOOLEAN: Text("是否", "yes or no"),
    },
)


_MISSING = (
    RefusalCode.REQUIRED,
    RefusalCode.CONSENT_NOT_GIVEN,
    RefusalCode.PORTRAIT_NOT_CONFIRMED,
    RefusalCode.ID_DOCUMENTS_NOT_CONFIRMED,
)


@strawberry.type(description="表单项 · A field: how to show it, its value, its problem.")
class FormField:
    spec: strawberry.Private[FieldSpec]
    form: strawberry.Private[FormInProgress]

    @strawberry.field(description="名称 · Name of the field in `ApplyCardInput`.")
    def name(self) -> str:
        return schema_name(self.spec.name)

    @strawberry.field(description="标签 · Label as in the guide.")
    def label(self, info: Info) -> str:
        return LABELS[schema_name(self.spec.name)].in_language(info.context.language)

    @strawberry.field(description="填写说明 · Help for the citizen.")
    def help(self, info: Info) -> str:
        return self.spec.help.in_language(info.context.language)

    @strawberry.field(description="类型 · How to show it.")
    def type(self) -> FieldType:
        return self.spec.type

    @strawberry.field(description="是否必填 · Whether the field is required.")
    def required(self) -> bool:
        return self.spec.required

    @strawberry.field(
        description="选项 · Choices of a select. Outlets: those of the draft's district and bank, "
        "or ask `outlets`."
    )
    def options(self, info: Info) -> list[Option]:
        if self.spec.options is None:
            return []
        found = self.spec.options(info.context.dependencies.reference, self.form.filled)
        return [Option.from_core(option) for option in found]

    @strawberry.field(description="默认值 · Initial value.")
    def default_value(self) -> str | None:
        return self.spec.default

    @strawberry.field(description="已填值 · Current value; booleans are `true` or `false`.")
    def value(self) -> str | None:
        value = getattr(self.form.filled, self.spec.name)
        if isinstance(value, bool):
            return "true" if value else "false"
        return value or None

    @strawberry.field(
        description="识别结果 · A suggestion recognised on the ID document for this field; null if there is "
        "none or it equals `value`, which it never replaces."
    )
    def suggestion(self, info: Info) -> FieldSuggestion | None:
        read = self.form.read.get(self.spec.name)
        if read is None or read.value == getattr(self.form.filled, self.spec.name):
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


@strawberry.type(description="已上传照片 · The portrait of the application.")
class UploadedPicture:
    portrait_id: strawberry.ID = strawberry.field(description="照片编号 · For `confirmPortrait`.")
    url: str = strawberry.field(description="预览地址 · A link to the picture, valid ten minutes.")
    confirmed: bool = strawberry.field(description="是否已确认 · Whether it was confirmed.")


@strawberry.type(description="已上传证件照 · A side of the ID card, straightened.")
class UploadedIdDocument:
    side: IdDocumentSide = strawberry.field(description="身份证面 · Which side.")
    url: str = strawberry.field(description="预览地址 · A link to the picture, valid ten minutes.")
    confirmed: bool = strawberry.field(description="是否已确认 · Whether it was confirmed.")


@strawberry.type(
    description="验证码项 · The last field of the form: request the code with `sendVerificationCode`, submit "
    "it with the form. Drafts never contain it."
)
class VerificationCodeField:
    name: str = strawberry.field(description="名称 · Name of the field in `ApplyCardInput`.")
    label: str = strawberry.field(description="标签 · Label as in the guide.")
    help: str = strawberry.field(description="填写说明 · Help for the citizen.")
    purpose: VerificationPurpose = strawberry.field(
        description="用途 · For `sendVerificationCode`."
    )
    phone_field: str = strawberry.field(
        description="手机号码项 · Name of the field whose phone gets the code."
    )


_CODE_HELP = Text(
    "6 位数字，点击“获取验证码”后由短信发送", "6 digits, sent by SMS when they are asked for"
)


@strawberry.type(
    description="申办表单 · The form with its options, the draft, and what is missing."
)
class ApplicationForm:
    form: strawberry.Private[FormInProgress]

    @strawberry.field(description="表单项 · All fields, in the guide's order.")
    def fields(self) -> list[FormField]:
        return [FormField(spec=spec, form=self.form) for spec in SPECS]

    @strawberry.field(description="验证码项 · The field that belongs to the phone.")
    def code_field(self, info: Info) -> VerificationCodeField:
        return VerificationCodeField(
            name="code",
            label=LABELS["code"].in_language(info.context.language),
            help=_CODE_HELP.in_language(info.context.language),
            purpose=VerificationPurpose.APPLY_CARD,
            phone_field="phone",
        )

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
        return [
            UploadedIdDocument(
                side=side,
                url=picture_link(info.context, picture.id),
                confirmed=picture.confirmed,
            )
            for side in IdDocumentSide
            if (picture := self.form.pictures.get(PictureKind(side.value))) is not None
        ]

    @strawberry.field(
        description="提示 · What to know before filling it in, e.g. that cards of other regions could not be "
        "checked; usually null."
    )
    def note(self, info: Info) -> str | None:
        note = self.form.note
        return None if note is None else note.in_language(info.context.language)

    @strawberry.field(description="照片 · The portrait uploaded last; null before.")
    def portrait(self, info: Info) -> UploadedPicture | None:
        picture = self.form.pictures.get(PictureKind.PORTRAIT)
        if picture is None:
            return None
        return UploadedPicture(
            portrait_id=strawberry.ID(str(picture.id)),
            url=picture_link(info.context, picture.id),
            confirmed=picture.confirmed,
        )


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
        description="申办表单 · Everything that a front-end needs to render the form. Refuses whoever cannot "
        "apply, before the first picture.",
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
