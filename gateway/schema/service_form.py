"""服务表单 serviceForm: the guide's forms as data."""

from typing import Annotated

import strawberry

from core import reference, service_forms
from core.applications import FieldType
from core.imaging import MAX_MEGAPIXELS
from core.kernel.card_services import CardService
from core.kernel.texts import Text
from core.service_forms import SERVICE_FORMS
from gateway.resolvers.caching import public
from gateway.schema.enums import publish
from gateway.schema.id_document_types import IdDocumentSide
from gateway.schema.info import Info
from gateway.schema.types import Option
from gateway.schema.verification_purposes import VerificationPurpose

_SECONDS = 3_600

publish(
    FieldType,
    "表单项类型 · How to show a field, and what to submit.",
    {
        FieldType.TEXT: Text("文本", "text"),
        FieldType.DIGITS: Text("数字", "digits, as text"),
        FieldType.PASSWORD: Text("密码", "digits, as text, not to be shown"),
        FieldType.DATE: Text("日期", "`YYYYMMDD`, as text"),
        FieldType.DATE_TIME: Text("时间", "shown only: a time as in ISO 8601"),
        FieldType.SELECT: Text("单选", "the code of one of the options"),
        FieldType.MULTI_SELECT: Text("多选", "a list of codes of the options"),
        FieldType.BOOLEAN: Text("是否", "true or false; `options` has the words"),
        FieldType.PICTURE: Text("图片", "a file, see `upload`"),
    },
)


@strawberry.type(description="参数 · Where the value of an argument comes from.")
class FormArgument:
    name: str = strawberry.field(
        description="参数名 · Name of the operation's argument or input field."
    )
    source: str = strawberry.field(
        description="来源 · Name of a field of the same section; with a dot, a value of a query, like "
        "`cardStatus.bankCode`."
    )

    @classmethod
    def from_core(cls, argument: service_forms.Argument) -> "FormArgument":
        return cls(name=argument.name, source=argument.source)


@strawberry.type(
    description="选项来源 · The query that returns the options, once its arguments are known."
)
class OptionsQuery:
    query: strawberry.Private[service_forms.OptionsQuery]

    @strawberry.field(description="查询 · Root field, like `outlets`.")
    def operation(self) -> str:
        return self.query.operation

    @strawberry.field(description="参数 · Its arguments.")
    def arguments(self) -> list[FormArgument]:
        return [FormArgument.from_core(argument) for argument in self.query.arguments]


@strawberry.type(description="按钮 · The button beside a field.")
class FieldButton:
    button: strawberry.Private[service_forms.Button]

    @strawberry.field(description="按钮文字 · As in the guide, like 获取验证码 or 查询险种.")
    def label(self, info: Info) -> str:
        return self.button.label.in_language(info.context.language)

    @strawberry.field(
        description="操作 · Root field: `sendVerificationCode`, or `insurances`, whose enrolled types can be "
        "chosen in the next field."
    )
    def operation(self) -> str:
        return self.button.operation

    @strawberry.field(description="参数 · Its arguments, or the fields of its input.")
    def arguments(self) -> list[FormArgument]:
        return [FormArgument.from_core(argument) for argument in self.button.arguments]

    @strawberry.field(description="验证码用途 · For `sendVerificationCode`; otherwise null.")
    def purpose(self) -> VerificationPurpose | None:
        return self.button.purpose


@strawberry.type(description="图片格式 · A format that is read.")
class PictureFormat:
    media_type: str = strawberry.field(description="媒体类型 · Like `image/jpeg`.")
    max_megapixels: int = strawberry.field(
        description="最高像素 · In millions; of progressive JPEG at most 25."
    )


@strawberry.type(description="图片上传 · How a picture is uploaded, and its limits.")
class PictureUpload:
    upload: strawberry.Private[service_forms.Upload]

    @strawberry.field(
        description="操作 · Mutation with the argument `file`; its name with `From` takes a file that was "
        "sent to a `requestUpload` address."
    )
    def operation(self) -> str:
        return self.upload.operation

    @strawberry.field(description="身份证面 · The argument `side`; null if there is none.")
    def side(self) -> IdDocumentSide | None:
        return self.upload.side

    @strawberry.field(description="最大文件 · In bytes.")
    def max_bytes(self, info: Info) -> int:
        return info.context.dependencies.settings.max_upload_bytes

    @strawberry.field(
        description="最小宽度 · In pixels, of what is cut out: the portrait, or the card lying horizontally."
    )
    def min_width(self) -> int:
        return self.upload.min_size[0]

    @strawberry.field(description="最小高度 · In pixels, as `minWidth`.")
    def min_height(self) -> int:
        return self.upload.min_size[1]

    @strawberry.field(description="图片格式 · Formats that are read.")
    def formats(self) -> list[PictureFormat]:
        return [
            PictureFormat(media_type=media_type, max_megapixels=most)
            for media_type, most in MAX_MEGAPIXELS.items()
        ]

    @strawberry.field(
        description="预览文字 · Text above the processed picture, or above the sample if there is one."
    )
    def caption(self, info: Info) -> str:
        return self.upload.caption.in_language(info.context.language)

    @strawberry.field(
        description="示例图地址 · A drawn sample, not a real card, below the gateway's address; null if there "
        "is none."
    )
    def sample_url(self) -> str | None:
        return self.upload.sample


@strawberry.type(description="表单项 · A field as in the guide.")
class FormField:
    spec: strawberry.Private[service_forms.Field]
    order: int = strawberry.field(description="顺序 · Starts at 1 in each section.")

    @strawberry.field(
        description="名称 · Name of the field in the operation's input. Of what is shown, its path in the "
        "result, like `card.name`; `nodes.title` is shown for every one of `nodes`."
    )
    def name(self) -> str:
        return self.spec.name

    @strawberry.field(description="标签 · Label as in the guide.")
    def label(self, info: Info) -> str:
        return self.spec.label.in_language(info.context.language)

    @strawberry.field(
        description="提示文字 · What stands in the empty field; null if nothing does."
    )
    def placeholder(self, info: Info) -> str | None:
        return _in_language(self.spec.placeholder, info)

    @strawberry.field(description="填写说明 · Help for the citizen; null if none is needed.")
    def help(self, info: Info) -> str | None:
        return _in_language(self.spec.help, info)

    @strawberry.field(description="类型 · How to show it, and what to submit.")
    def type(self) -> FieldType:
        return self.spec.type

    @strawberry.field(description="是否必填 · Whether the field is required.")
    def required(self) -> bool:
        return self.spec.required

    @strawberry.field(
        description="选项 · Choices of a select, in order; empty if `optionsQuery` returns them."
    )
    def options(self, info: Info) -> list[Option]:
        if self.spec.table is not None:
            found = list(self.spec.table(info.context.dependencies.reference))
        else:
            found = [reference.Option(code, text.zh, text.en) for code, text in self.spec.choices]
        return [Option.from_core(option) for option in found]

    @strawberry.field(
        description="选项来源 · Where the options come from if they follow from other values."
    )
    def options_query(self) -> OptionsQuery | None:
        query = self.spec.options_query
        return None if query is None else OptionsQuery(query=query)

    @strawberry.field(description="默认值 · Initial value, as in `options` for a select.")
    def default_value(self) -> str | None:
        return self.spec.default

    @strawberry.field(description="按钮 · The button beside it; null if there is none.")
    def button(self) -> FieldButton | None:
        button = self.spec.button
        return None if button is None else FieldButton(button=button)

    @strawberry.field(description="图片上传 · Of a picture; otherwise null.")
    def upload(self) -> PictureUpload | None:
        upload = self.spec.upload
        return None if upload is None else PictureUpload(upload=upload)


@strawberry.type(
    description="表单段 · A part of the form with a button of its own, or what is shown."
)
class FormSection:
    section: strawberry.Private[service_forms.Section]

    @strawberry.field(
        description="段标题 · As in the guide; null where the service's title stands alone."
    )
    def title(self, info: Info) -> str | None:
        return _in_language(self.section.title, info)

    @strawberry.field(description="段说明 · Above the fields; null if there is none.")
    def instruction(self, info: Info) -> str | None:
        return _in_language(self.section.instruction, info)

    @strawberry.field(description="表单项 · In the guide's order, which is that of the input.")
    def fields(self) -> list[FormField]:
        return [
            FormField(spec=spec, order=order) for order, spec in enumerate(self.section.fields, 1)
        ]

    @strawberry.field(
        description="提交按钮 · Text of the button. Null: nothing is submitted, `operation` is a query "
        "and its values are shown."
    )
    def submit_label(self, info: Info) -> str | None:
        return _in_language(self.section.submit_label, info)

    @strawberry.field(
        description="操作 · Root field. A mutation takes the fields as `input`; `confirmPortrait` takes the "
        "`portraitId` of the upload, and `confirmIdDocuments` nothing."
    )
    def operation(self) -> str:
        return self.section.operation


@strawberry.type(
    description="服务表单 · All words of a service as in the city's guide: a front-end needs no table of its own."
)
class ServiceForm:
    form: strawberry.Private[service_forms.ServiceForm]

    @strawberry.field(description="服务事项 · Which service.")
    def service(self) -> CardService:
        return self.form.service

    @strawberry.field(description="服务名称 · Its name in the guide.")
    def title(self, info: Info) -> str:
        return self.form.service.text.in_language(info.context.language)

    @strawberry.field(description="操作步骤 · The guide's steps, in order.")
    def steps(self, info: Info) -> list[str]:
        return [step.in_language(info.context.language) for step in self.form.steps]

    @strawberry.field(description="表单段 · In the order in which they are filled in.")
    def sections(self) -> list[FormSection]:
        return [FormSection(section=section) for section in self.form.sections]

    @strawberry.field(description="温馨提示 · Hints above the form; empty if there are none.")
    def tips(self, info: Info) -> list[str]:
        return [tip.in_language(info.context.language) for tip in self.form.tips]


def _in_language(text: Text | None, info: Info) -> str | None:
    return None if text is None else text.in_language(info.context.language)


@strawberry.type
class ServiceFormQuery:
    @strawberry.field(
        metadata=public(_SECONDS),
        description="服务表单 · Steps, fields, labels, options and buttons of a service. No session needed; "
        "what a citizen has entered is in `applicationForm`.",
    )
    def service_form(
        self,
        service: Annotated[
            CardService, strawberry.argument(description="服务事项 · Which of the ten services.")
        ],
    ) -> ServiceForm:
        return ServiceForm(form=SERVICE_FORMS[service])
