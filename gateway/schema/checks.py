"""Units of the pre-review checks of portrait and ID document."""

from core.imaging import Unit
from core.kernel.refusals import Text
from gateway.schema.enums import publish

__all__ = ["Unit"]

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
