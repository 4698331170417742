"""The result of the pre-review (预审) of one side of the ID card: each check with its limit.

Checks that need a card are left out if none was found.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from core.imaging.checks import Band, ImageCheck, Unit
from core.imaging.processing import ProcessedImage


class Side(StrEnum):
    PORTRAIT_SIDE = "PORTRAIT_SIDE"
    EMBLEM_SIDE = "EMBLEM_SIDE"


class CardPart(StrEnum):
    """A part of the card that can be hidden; OVERPRINT is a watermark or a stamp across the card."""

    NAME = "NAME"
    GENDER_ETHNICITY = "GENDER_ETHNICITY"
    BIRTH_DATE = "BIRTH_DATE"
    ADDRESS = "ADDRESS"
    ID_NUMBER = "ID_NUMBER"
    PORTRAIT = "PORTRAIT"
    TITLE = "TITLE"
    EMBLEM = "EMBLEM"
    ISSUER = "ISSUER"
    VALIDITY = "VALIDITY"
    CORNER = "CORNER"
    OVERPRINT = "OVERPRINT"


class OtherCard(StrEnum):
    """A card that is taken for the resident ID card."""

    SOCIAL_SECURITY_CARD = "SOCIAL_SECURITY_CARD"
    PERMANENT_RESIDENCE = "PERMANENT_RESIDENCE"
    TRAVEL_PERMIT = "TRAVEL_PERMIT"
    RESIDENCE_PERMIT = "RESIDENCE_PERMIT"
    TEMPORARY_ID_CARD = "TEMPORARY_ID_CARD"
    BANK_CARD = "BANK_CARD"
    DRIVING_LICENCE = "DRIVING_LICENCE"
    VEHICLE_LICENCE = "VEHICLE_LICENCE"
    PASSPORT = "PASSPORT"
    STUDENT_CARD = "STUDENT_CARD"
    HOUSEHOLD_REGISTER = "HOUSEHOLD_REGISTER"


class DocumentCheckCode(StrEnum):
    NO_CARD = "NO_CARD"
    EDGES_UNCLEAR = "EDGES_UNCLEAR"
    CUT_OFF = "CUT_OFF"
    NOT_LANDSCAPE = "NOT_LANDSCAPE"
    NOT_AN_ID_CARD = "NOT_AN_ID_CARD"
    WRONG_SIDE = "WRONG_SIDE"
    COVERED = "COVERED"
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
    DocumentCheckCode.COVERED: (Band(most=4), Unit.PERCENT),
    DocumentCheckCode.TOO_SMALL: (Band(least=600), Unit.PIXELS),
    DocumentCheckCode.BLURRED: (Band(most=2), Unit.PIXELS),
    DocumentCheckCode.GLARE: (Band(most=1.5), Unit.PERCENT),
    DocumentCheckCode.TOO_DARK: (Band(least=35), Unit.LIGHTNESS),
    DocumentCheckCode.NOT_COLOUR: (Band(least=8), Unit.COLOUR_DISTANCE),
}


@dataclass(frozen=True, slots=True)
class DocumentCheck(ImageCheck[DocumentCheckCode]):
    """`parts` are those that COVERED is about, most hidden first; `card` is the card that
    NOT_AN_ID_CARD is about, if it was recognised, and `wanted` the side that was asked for.
    """

    limits = LIMITS

    parts: tuple[CardPart, ...] = ()
    card: OtherCard | None = None
    wanted: Side | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """Fractions of the picture's width and height, from its upper left corner."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class OtherSide:
    """The other side of an ID card beside the first one in the same picture."""

    side: Side
    corners: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class ReadField:
    """`name` and the format of `value` are those of the application form or of 信息变更.

    `confidence` is 0 to 1.
    """

    name: str
    value: str = field(repr=False)
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """What was read off a card: `card` if its title or number says that it is no ID card."""

    fields: tuple[ReadField, ...] = ()
    card: OtherCard | None = None
    is_watermarked: bool = False


@dataclass(frozen=True, slots=True)
class ProcessedDocument(ProcessedImage[DocumentCheck]):
    """`data` is the rectified card, empty unless all checks passed.

    `corners` are the card's corners in the picture, clockwise from the card's own upper left;
    empty if no card was found. `unrecognised` is the rectified card if it was refused as another one
    or as covered: to be read for its title, never stored.
    """

    side: Side | None = None
    corners: tuple[Point, ...] = ()
    unrecognised: bytes = field(default=b"", repr=False)
    other_side: OtherSide | None = None

    def judged(self, read: ReadDocument, wanted: Side) -> "ProcessedDocument":
        """With what the text says: another card, or a watermark. `data` is empty if that refuses."""
        checks = list(self.checks)
        if read.card is not None:
            code = DocumentCheckCode.NOT_AN_ID_CARD
            checks = [check for check in checks if check.code is not code]
            checks.append(DocumentCheck(code, 0, card=read.card, wanted=wanted))
        elif read.is_watermarked and not any(CardPart.OVERPRINT in check.parts for check in checks):
            code = DocumentCheckCode.COVERED
            checks = [check for check in checks if check.code is not code]
            checks.append(DocumentCheck(code, 100, parts=(CardPart.OVERPRINT,)))
        else:
            return self
        return replace(self, checks=tuple(checks), data=b"")
