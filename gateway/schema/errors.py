"""The type `Refusal`, and the handler that converts refusals into union members."""

import strawberry
from strawberry.types.field import StrawberryField

from core.kernel import refusals
from core.kernel.refusals import RefusalCode
from core.kernel.texts import Language
from gateway.schema.enums import publish
from gateway.schema.info import Info
from gateway.schema.next_step import NextStep

publish(
    RefusalCode,
    "拒绝原因代码 · Why the operation was refused. Stable, for programs; show `message` to citizens.",
    {code: refusal.text for code, refusal in refusals.BY_CODE.items()},
)


@strawberry.type(description="表单项问题 · An invalid field of a form.")
class FieldProblem:
    field: str = strawberry.field(description="表单项 · Name of the invalid input field.")
    code: RefusalCode = strawberry.field(description="原因代码 · Why.")
    message: str = strawberry.field(description="提示语 · What the citizen can do about it.")


@strawberry.type(
    name="Refusal",
    description="拒绝 · The operation was not carried out and nothing was changed; only after "
    "OUTCOME_UNKNOWN it may have been: the same request with its `Idempotency-Key` tells. "
    "The message is in Chinese, or in English by `Accept-Language: en`.",
)
class RefusalPayload:
    code: RefusalCode = strawberry.field(description="原因代码 · Why.")
    message: str = strawberry.field(
        description="提示语 · A message for the citizen that says what to do; show it unchanged."
    )
    field: str | None = strawberry.field(
        description="表单项 · The invalid input field; null if the refusal is not about a field."
    )
    retry_after: int | None = strawberry.field(
        description="等待秒数 · Seconds to wait before trying again; null if waiting does not help."
    )
    problems: list[FieldProblem] = strawberry.field(
        description="全部问题 · All invalid fields, to show a message beside each."
    )
    next_step: NextStep | None = strawberry.field(
        description="下一步 · What to do instead; null if the message alone says it."
    )

    @classmethod
    def from_core(cls, refusal: refusals.Refusal, language: Language) -> "RefusalPayload":
        return cls(
            code=refusal.code,
            message=refusal.message(language),
            field=refusal.field,
            retry_after=refusal.retry_after,
            problems=problems_from(refusal.problems, language),
            next_step=NextStep.from_core(refusal.next_step, language),
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
