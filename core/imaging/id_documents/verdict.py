"""What the pre-review (预审) of a side of the ID card found: each measure beside its limit.

What could not be measured, because no card was found to measure it on, is left out.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from core.imaging.checks import Band, Unit
from core.imaging.processing import Verdict


class Side(StrEnum):
    PORTRAIT_SIDE = "PORTRAIT_SIDE"
    EMBLEM_SIDE = "EMBLEM_SIDE"


class DocumentCheckCode(StrEnum):
    NO_CARD = "NO_CARD"
    EDGES_UNCLEAR = "EDGES_UNCLEAR"
    CUT_OFF = "CUT_OFF"
    NOT_LANDSCAPE = "NOT_LANDSCAPE"
    NOT_AN_ID_CARD = "NOT_AN_ID_CARD"
    WRONG_SIDE = "WRONG_SIDE"
    TOO_SMALL = "TOO_SMALL"
    BLURRED = "BLURRED"
    GLARE = "GLARE"
    TOO_DARK = "TOO_DARK"
    NOT_COLOUR = "NOT_COLOUR"


LIMITS: dict[DocumentCheckCode, tuple[Band, Unit]] = {
    DocumentCheckCode.NO_CARD: (Band(least=1), Unit.COUNT),
    DocumentCheckCode.EDGES_UNCLEAR: (Band(least=45), Unit.PERCENT),
    DocumentCheckCode.CUT_OFF: (Band(most=1), Unit.PERCENT),
    DocumentCheckCode.NOT_LANDSCAPE: (Band(most=0), Unit.DEGREES),
    DocumentCheckCode.NOT_AN_ID_CARD: (Band(least=50), Unit.PERCENT),
    DocumentCheckCode.WRONG_SIDE: (Band(least=50), Unit.PERCENT),
    DocumentCheckCode.TOO_SMALL: (Band(least=600), Unit.PIXELS),
    DocumentCheckCode.BLURRED: (Band(most=2), Unit.PIXELS),
    DocumentCheckCode.GLARE: (Band(most=1.5), Unit.PERCENT),
    DocumentCheckCode.TOO_DARK: (Band(least=35), Unit.LIGHTNESS),
    DocumentCheckCode.NOT_COLOUR: (Band(least=5), Unit.COLOUR_DISTANCE),
}


@dataclass(frozen=True, slots=True)
class DocumentCheck:
    code: DocumentCheckCode
    measured: float

    @property
    def limit(self) -> Band:
        return LIMITS[self.code][0]

    @property
    def unit(self) -> Unit:
        return LIMITS[self.code][1]

    @property
    def passed(self) -> bool:
        return self.limit.holds(self.measured)


@dataclass(frozen=True, slots=True)
class Point:
    """Shares of the picture's width and height, from its upper left corner."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class ProcessedDocument:
    """`verdict` is ACCEPTED for every picture that could be read; the checks tell the rest.

    `data` is the straightened card, empty unless all checks passed. `corners` of the card in
    the picture are its own, from its upper left clockwise; none where no card was found.
    `width`, `height`, `least` and `most` are for refusals.
    """

    verdict: Verdict
    data: bytes = field(default=b"", repr=False)
    checks: tuple[DocumentCheck, ...] = ()
    side: Side | None = None
    corners: tuple[Point, ...] = ()
    width: int = 0
    height: int = 0
    least: tuple[int, int] = (0, 0)
    most: int = 0

    @property
    def accepted(self) -> bool:
        return self.verdict is Verdict.ACCEPTED and all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class ReadField:
    """`name` is the field's in the form or in 信息变更; `value` has the shape that it takes there.

    `confidence` is 0 to 1.
    """

    name: str
    value: str = field(repr=False)
    confidence: float = 0.0
