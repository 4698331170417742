"""The result of the pre-review (预审) of a portrait: each check with its measured value and limit.

Checks that need a face are left out if none was found.
"""

from dataclasses import dataclass
from enum import StrEnum

from core.imaging.checks import Band, ImageCheck, Unit
from core.imaging.processing import ProcessedImage


class CheckCode(StrEnum):
    NO_FACE = "NO_FACE"
    SEVERAL_FACES = "SEVERAL_FACES"
    FACE_COVERED = "FACE_COVERED"
    DARK_GLASSES = "DARK_GLASSES"
    EYES_HIDDEN = "EYES_HIDDEN"
    EYES_CLOSED = "EYES_CLOSED"
    GLASSES_GLARE = "GLASSES_GLARE"
    MOUTH_OPEN = "MOUTH_OPEN"
    PITCHED = "PITCHED"
    TURNED = "TURNED"
    TILTED = "TILTED"
    OFF_CENTRE = "OFF_CENTRE"
    CUT_OFF = "CUT_OFF"
    HEAD_SIZE = "HEAD_SIZE"
    TOO_SMALL = "TOO_SMALL"
    BLURRED = "BLURRED"
    TOO_DARK = "TOO_DARK"
    TOO_BRIGHT = "TOO_BRIGHT"
    LIGHT_UNEVEN = "LIGHT_UNEVEN"
    NOT_COLOUR = "NOT_COLOUR"
    BACKGROUND_NOT_WHITE = "BACKGROUND_NOT_WHITE"
    BACKGROUND_NOT_PLAIN = "BACKGROUND_NOT_PLAIN"
    BORDER = "BORDER"
    SCREENSHOT = "SCREENSHOT"


LIMITS: dict[CheckCode, tuple[Band, Unit]] = {
    CheckCode.NO_FACE: (Band(least=1), Unit.COUNT),
    CheckCode.SEVERAL_FACES: (Band(most=1), Unit.COUNT),
    CheckCode.FACE_COVERED: (Band(least=3), Unit.COUNT),
    CheckCode.DARK_GLASSES: (Band(most=25), Unit.LIGHTNESS),
    CheckCode.EYES_HIDDEN: (Band(least=2), Unit.COUNT),
    CheckCode.EYES_CLOSED: (Band(least=14), Unit.PERCENT),
    CheckCode.GLASSES_GLARE: (Band(most=20), Unit.PERCENT),
    CheckCode.MOUTH_OPEN: (Band(most=35), Unit.PERCENT),
    CheckCode.TILTED: (Band(most=15), Unit.DEGREES),
    CheckCode.PITCHED: (Band(most=15), Unit.DEGREES),
    CheckCode.TURNED: (Band(most=17), Unit.DEGREES),
    CheckCode.OFF_CENTRE: (Band(most=17), Unit.PIXELS),
    CheckCode.CUT_OFF: (Band(most=6), Unit.PIXELS),
    CheckCode.HEAD_SIZE: (Band(least=207), Unit.PIXELS),
    CheckCode.TOO_SMALL: (Band(least=358), Unit.PIXELS),
    CheckCode.BLURRED: (Band(least=24), Unit.PERCENT),
    CheckCode.TOO_DARK: (Band(least=26), Unit.LIGHTNESS),
    CheckCode.TOO_BRIGHT: (Band(most=1.5), Unit.PERCENT),
    CheckCode.LIGHT_UNEVEN: (Band(most=65), Unit.PERCENT),
    CheckCode.NOT_COLOUR: (Band(least=0.9), Unit.COLOUR_DISTANCE),
    CheckCode.BACKGROUND_NOT_WHITE: (Band(most=30), Unit.COLOUR_DISTANCE),
    CheckCode.BACKGROUND_NOT_PLAIN: (Band(most=10), Unit.PERCENT),
    CheckCode.BORDER: (Band(most=70), Unit.PERCENT),
    CheckCode.SCREENSHOT: (Band(most=0), Unit.COUNT),
}


@dataclass(frozen=True, slots=True)
class Check(ImageCheck[CheckCode]):
    limits = LIMITS


@dataclass(frozen=True, slots=True)
class Geometry:
    """Position of the head in the finished picture, in pixels from its upper left corner.

    `crown` is 0 if hair was cut off; `chin` is None without landmarks.
    """

    crown: int
    eye_line: int
    eye_x: int
    face_left: int
    face_right: int
    chin: int | None = None


@dataclass(frozen=True, slots=True)
class ProcessedPortrait(ProcessedImage[Check]):
    """`data` is also set if a check failed; `geometry` is None if no face was found."""

    geometry: Geometry | None = None
