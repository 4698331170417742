"""Checks of a picture: what is measured, and the limits within which it passes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar


class Unit(StrEnum):
    COUNT = "COUNT"
    PIXELS = "PIXELS"
    DEGREES = "DEGREES"
    PERCENT = "PERCENT"
    LIGHTNESS = "LIGHTNESS"
    COLOUR_DISTANCE = "COLOUR_DISTANCE"


@dataclass(frozen=True, slots=True)
class Band:
    """A closed range: a value equal to a limit passes."""

    least: float = -math.inf
    most: float = math.inf

    def holds(self, value: float) -> bool:
        return self.least <= value <= self.most


CodeT = TypeVar("CodeT", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class ImageCheck(Generic[CodeT]):
    """One measured value. A subclass sets `limits`, with an entry for each of its codes."""

    limits: ClassVar[Mapping[Any, tuple[Band, Unit]]]

    code: CodeT
    measured: float

    @property
    def limit(self) -> Band:
        return self.limits[self.code][0]

    @property
    def unit(self) -> Unit:
        return self.limits[self.code][1]

    @property
    def passed(self) -> bool:
        return self.limit.holds(self.measured)
