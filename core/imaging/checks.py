"""What is measured about a picture, and between which limits it has to lie."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    COUNT = "COUNT"
    PIXELS = "PIXELS"
    DEGREES = "DEGREES"
    PERCENT = "PERCENT"
    LIGHTNESS = "LIGHTNESS"
    COLOUR_DISTANCE = "COLOUR_DISTANCE"


@dataclass(frozen=True, slots=True)
class Band:
    """Both limits pass."""

    least: float = -math.inf
    most: float = math.inf

    def holds(self, value: float) -> bool:
        return self.least <= value <= self.most
