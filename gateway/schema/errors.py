"""How a refusal looks in the schema, and the one handler that turns it into a union member."""

import strawberry
from strawberry.types.field import StrawberryField

from core.kernel import refusals
from core.kernel.refusals import Language, RefusalCode
from gateway.schema.enums import publish
from gateway.schema.info import Info

publish(
    RefusalCode,
    "拒绝原因代码 · Why something was refused; stable, for programs. Show `message` to people.",
    {code: refusal.text for code, refusal in refusals.BY_CODE.items()},
)


@strawberry.type(description="表单项问题 · One wrong field of a form.")
class FieldProblem:
    field: str = strawberry.field(description="表单项 · Name of the input field at fault.")
    code: RefusalCode = strawberry.field(description="原因代码 · Why.")
    message: str = strawberry.field(description="提示语 · What the citizen can do about it.")


@strawberry.type(
    name="Refusal",
    description="拒绝 · The operation was not carried out and nothing was changed. "
    "The message is in Chinese, or in English by `Accept-Language: en`.",
)
class RefusalPayload:
    code: RefusalCode = strawberry.field(description="原因代码 · Why.")
    message: str = strawberry.field(
        description="提示语 · A sentence that the citizen can act on; show it as it is."
    )
    field: str | None = strawberry.field(
        description="表单项 · The input field at fault, null when none is."
    )
    retry_after: int | None = strawberry.field(
        description="等待秒数 · Seconds to wait before trying again, null when waiting does not help."
    )
    problems: list[FieldProblem] = strawberry.field(
        description="全部问题 · Every wrong field at once, to show beside each."
    )

    @classmethod
    def from_core(cls, refusal: refusals.Refusal, language: Language) -> "RefusalPayload":
        return cls(
            code=refusal.code,
            message=refusal.message(language),
            field=refusal.field,
            retry_after=refusal.retry_after,
            problems=problems_from(refusal.problems, language),
        )


def problems_from(problems: tuple[refusals.Refusal, ...], language: Language) -> list[FieldProblem]:
    return [
        FieldProblem(
            field=problem.field or "", code=problem.code, message=problem.message(language)
        )
        for problem in problems
    ]


class RefusalHandler(strawberry.ExceptionHandler[refusals.Refusal, RefusalPayload]):
    def handle(
        self, exception: refusals.Refusal, *, field: StrawberryField, info: Info
    ) -> RefusalPayload:
        return RefusalPayload.from_core(exception, info.context.language)
