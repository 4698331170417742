"""The result of processing a picture in a worker process."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

from core.imaging.checks import ImageCheck
from core.imaging.decoding import MEGAPIXEL, TooManyPixels, TooSmall, Undecodable


class Verdict(StrEnum):
    ACCEPTED = "ACCEPTED"
    UNREADABLE = "UNREADABLE"
    TOO_MANY_PIXELS = "TOO_MANY_PIXELS"
    TOO_SMALL = "TOO_SMALL"


CheckT = TypeVar("CheckT", bound=ImageCheck[Any])


@dataclass(frozen=True, slots=True)
class ProcessedImage(Generic[CheckT]):
    """`verdict` is ACCEPTED for every picture that could be decoded, whether or not its checks pass.

    `data` is the finished JPEG. `width` and `height` are those of the picture sent, in pixels;
    `least` (pixels) and `most` (megapixels) are the limit that it violates.
    """

    verdict: Verdict
    data: bytes = field(default=b"", repr=False)
    checks: tuple[CheckT, ...] = ()
    width: int = 0
    height: int = 0
    least: tuple[int, int] = (0, 0)
    most: int = 0

    @classmethod
    def refused(
        cls, error: Undecodable | TooManyPixels | TooSmall, min_size: tuple[int, int]
    ) -> Self:
        if isinstance(error, TooManyPixels):
            most = error.most // MEGAPIXEL
            return cls(Verdict.TOO_MANY_PIXELS, width=error.width, height=error.height, most=most)
        if isinstance(error, TooSmall):
            return cls(Verdict.TOO_SMALL, width=error.width, height=error.height, least=min_size)
        return cls(Verdict.UNREADABLE)

    @property
    def accepted(self) -> bool:
        return self.verdict is Verdict.ACCEPTED and all(check.passed for check in self.checks)
