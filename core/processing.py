"""What a worker of the studio hands back about a picture."""

from dataclasses import dataclass
from enum import StrEnum

from core.decoding import MEGAPIXEL, TooManyPixels


class Verdict(StrEnum):
    ACCEPTED = "ACCEPTED"
    UNREADABLE = "UNREADABLE"
    TOO_MANY_PIXELS = "TOO_MANY_PIXELS"
    TOO_SMALL = "TOO_SMALL"
    NOT_LANDSCAPE = "NOT_LANDSCAPE"


@dataclass(frozen=True, slots=True)
class Processed:
    """`data` is the picture to keep, empty unless accepted; `width` and `height` are the input's.

    `least` and `most` are the limits it broke: width and height, and megapixels.
    """

    verdict: Verdict
    data: bytes = b""
    width: int = 0
    height: int = 0
    least: tuple[int, int] = (0, 0)
    most: int = 0


def too_many_pixels(error: TooManyPixels) -> Processed:
    most = error.most // MEGAPIXEL
    return Processed(Verdict.TOO_MANY_PIXELS, width=error.width, height=error.height, most=most)
