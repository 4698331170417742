"""The result of processing a picture in a worker process."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

from core.imaging.checks import ImageCheck
from core.imaging.decoding import (
    MEGAPIXEL,
    Incomplete,
    NotDecoded,
    TooManyPixels,
    TooSmall,
    Unsupported,
)
from core.imaging.formats import FileFormat


class Verdict(StrEnum):
    ACCEPTED = "ACCEPTED"
    UNREADABLE = "UNREADABLE"
    UNSUPPORTED = "UNSUPPORTED"
    INCOMPLETE = "INCOMPLETE"
    TOO_MANY_PIXELS = "TOO_MANY_PIXELS"
    TOO_SMALL = "TOO_SMALL"


CheckT = TypeVar("CheckT", bound=ImageCheck[Any])


@dataclass(frozen=True, slots=True)
class ProcessedImage(Generic[CheckT]):
    """`verdict` is ACCEPTED for every picture that could be decoded, whether or not its checks pass.

    `data` is the finished JPEG. `width` and `height` are those of the picture sent, in pixels;
    `least` (pixels) and `most` (megapixels) are the limit that it violates. `format` is that of an
    UNSUPPORTED file; `missing` is how many percent an INCOMPLETE one lacks, 0 if that is unknown.
    """

    verdict: Verdict
    data: bytes = field(default=b"", repr=False)
    checks: tuple[CheckT, ...] = ()
    width: int = 0
    height: int = 0
    least: tuple[int, int] = (0, 0)
    most: int = 0
    format: FileFormat | None = None
    missing: int = 0

    @classmethod
    def refused(cls, error: NotDecoded, min_size: tuple[int, int]) -> Self:
        if isinstance(error, TooManyPixels):
            most = error.most // MEGAPIXEL
            return cls(Verdict.TOO_MANY_PIXELS, width=error.width, height=error.height, most=most)
        if isinstance(error, TooSmall):
            return cls(Verdict.TOO_SMALL, width=error.width, height=error.height, least=min_size)
        if isinstance(error, Unsupported):
            return cls(Verdict.UNSUPPORTED, format=error.format)
        if isinstance(error, Incomplete):
            return cls(Verdict.INCOMPLETE, missing=error.missing)
        return cls(Verdict.UNREADABLE)

    @property
    def accepted(self) -> bool:
        return self.verdict is Verdict.ACCEPTED and all(check.passed for check in self.checks)
