"""Types of the ID document that upload and form share."""

import strawberry

from core.applications import schema_name
from core.imaging import ReadField, Side
from core.kernel.texts import Text
from core.reference import LABELS
from gateway.resolvers.context import Context
from gateway.schema.enums import publish

IdDocumentSide = Side

publish(
    IdDocumentSide,
    "身份证面 · A side of the ID card.",
    {
        IdDocumentSide.PORTRAIT_SIDE: Text("人像面", "portrait side"),
        IdDocumentSide.EMBLEM_SIDE: Text("国徽面", "emblem side"),
    },
    name="IdDocumentSide",
)


@strawberry.type(
    description="识别结果 · Text recognised on the ID document for a field of the form, "
    "as a suggestion to the citizen."
)
class FieldSuggestion:
    field: str = strawberry.field(
        description="表单项 · Name of the field in `ApplyCardInput`, or `registeredAddress`."
    )
    label: str = strawberry.field(description="标签 · Label as in the guide.")
    value: str = strawberry.field(description="值 · In the format of the form.")
    text: str = strawberry.field(description="显示文字 · Text to show; for a code, its name.")
    confidence: float = strawberry.field(
        description="可信度 · 0 to 1. Number, birth date and gender were checked against one another."
    )


def suggestion_of(read: ReadField, context: Context) -> FieldSuggestion:
    name = schema_name(read.name)
    return FieldSuggestion(
        field=name,
        label=LABELS[name].in_language(context.language),
        value=read.value,
        text=_text(read, context),
        confidence=read.confidence,
    )


def _text(read: ReadField, context: Context) -> str:
    reference = context.dependencies.reference
    tables = {"gender_code": reference.genders, "ethnicity_code": reference.ethnicities}
    option = tables[read.name].get(read.value) if read.name in tables else None
    return read.value if option is None else option.name
