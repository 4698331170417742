"""The pre-review checks of portrait and ID document: their shape and their units."""

import math
from enum import StrEnum
from typing import Generic, Self, TypeVar

import strawberry

from core.imaging import ImageCheck, Unit
from core.kernel.texts import Text
from gateway.schema.enums import publish

CodeT = TypeVar("CodeT", bound=StrEnum)

publish(
    Unit,
    "度量单位 · Unit of a check.",
    {
        Unit.COUNT: Text("个数", "How many."),
        Unit.PIXELS: Text("像素", "Pixels."),
        Unit.DEGREES: Text("角度", "Degrees."),
        Unit.PERCENT: Text("百分比", "Percent."),
        Unit.LIGHTNESS: Text("亮度", "CIELAB lightness, 0 to 100."),
        Unit.COLOUR_DISTANCE: Text("色差", "Distance in CIELAB."),
    },
)


@strawberry.type
class PictureCheck(Generic[CodeT]):
    """The fields of every check; each kind of picture publishes its own type, with its own codes."""

    code: CodeT = strawberry.field(description="项目代码 · Which check.")
    passed: bool = strawberry.field(description="是否通过 · Whether it passed.")
    message: str = strawberry.field(
        description="说明 · The finding and what to do about it; show it unchanged."
    )
    measured: float = strawberry.field(description="测量值 · Measured value, in `unit`.")
    at_least: float | None = strawberry.field(
        description="下限 · Minimum to pass; null if there is none."
    )
    at_most: float | None = strawberry.field(
        description="上限 · Maximum to pass; null if there is none."
    )
    unit: Unit = strawberry.field(description="单位 · Unit of the values.")

    @classmethod
    def from_core(cls, check: ImageCheck[CodeT], message: str) -> Self:
        limit = check.limit
        return cls(
            code=check.code,
            passed=check.passed,
            message=message,
            measured=check.measured,
            at_least=limit.least if math.isfinite(limit.least) else None,
            at_most=limit.most if math.isfinite(limit.most) else None,
            unit=check.unit,
        )
